// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/internal/observe"
	"github.com/protoloop/protoloop/internal/view"
)

// The bounds of captures.
const (
	profileTime  = 5 * time.Second
	maxKept      = 16       // captures
	maxKeptBytes = 64 << 20 // of all
	maxCapture   = 32 << 20 // of one
)

// The kinds of captures.
const (
	cpuProfile    = view.CPUProfile
	flightRecord  = view.FlightRecording
	goroutineDump = view.GoroutineDump
	heapProfile   = view.HeapProfile
)

// errBusy says that a capture is under way: 409.
var errBusy = errors.New("another capture is under way")

// captures tracks what is kept, and that one is made at a time.
type captures struct {
	c *Console

	mu      sync.Mutex
	last    int
	running *capture
	kept    []*capture // the oldest first

	recording recording
}

// capture is one, and its bytes once it is done.
type capture struct {
	view.Capture
	bytes []byte
	done  chan struct{}
}

// begin makes one, on a goroutine of its own. ctx ends it early.
func (k *captures) begin(ctx context.Context, kind, why string) (view.Capture, error) {
	if err := k.cannot(kind); err != nil {
		return view.Capture{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running != nil {
		return view.Capture{}, errBusy
	}
	k.last++
	one := &capture{done: make(chan struct{})}
	one.ID, one.Kind, one.At, one.Why = strconv.Itoa(k.last), kind, time.Now(), why
	one.File = fmt.Sprintf("%s-%d-%s%s", kind, k.c.look.about.PID, one.At.UTC().Format("20060102T150405Z"), extension(kind))
	one.Open = view.OpenCapture(kind, one.File)
	k.running = one
	begun := one.Capture
	go k.make(ctx, one)
	return begun, nil
}

func extension(kind string) string {
	if kind == flightRecord {
		return ".trace"
	}
	return ".pb.gz"
}

// cannot is why a capture of that kind cannot be made; nil: it can.
func (k *captures) cannot(kind string) error {
	switch kind {
	case cpuProfile, goroutineDump, heapProfile:
		return nil
	case flightRecord:
		if on, why := k.recording.state(); !on {
			return errors.New(why)
		}
		return nil
	}
	return errUnknown{fmt.Sprintf("there is no capture of kind %q: %s, %s, %s, %s", kind, cpuProfile, flightRecord, goroutineDump, heapProfile)}
}

// make takes the bytes and keeps them. What else may be the matter, a panic too, is the capture's
// error.
func (k *captures) make(ctx context.Context, one *capture) {
	var b bytes.Buffer
	err := k.write(ctx, &limitedBuffer{b: &b}, one.Kind)
	k.mu.Lock()
	one.Took = time.Since(one.At).Seconds()
	if err != nil {
		one.Error = err.Error()
	} else {
		one.bytes = b.Bytes()
		one.Bytes = len(one.bytes)
	}
	k.running = nil
	k.kept = append(k.kept, one)
	sum := 0
	for i, old := range slices.Backward(k.kept) {
		if sum += old.Bytes; len(k.kept)-i > maxKept || sum > maxKeptBytes && old != one {
			k.kept = slices.Delete(k.kept, 0, i+1)
			break
		}
	}
	k.mu.Unlock()
	close(one.done)
}

func (k *captures) write(ctx context.Context, w *limitedBuffer, kind string) error {
	switch kind {
	case cpuProfile:
		if err := pprof.StartCPUProfile(w); err != nil {
			return err // somebody else profiles
		}
		if !observe.Of(k.c.sys).Labels.Load() { // else somebody wants them for good
			inspect.LabelTasks(k.c.sys, true)
			defer inspect.LabelTasks(k.c.sys, false)
		}
		select {
		case <-ctx.Done():
		case <-time.After(profileTime):
		}
		pprof.StopCPUProfile()
		return w.err
	case flightRecord:
		return k.recording.writeTo(w)
	case goroutineDump:
		return firstError(pprof.Lookup("goroutine").WriteTo(w, 0), w.err)
	default:
		return firstError(pprof.Lookup("heap").WriteTo(w, 0), w.err)
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// limitedBuffer takes as much as one capture may have.
type limitedBuffer struct {
	b   *bytes.Buffer
	err error
}

func (w *limitedBuffer) Write(p []byte) (int, error) {
	if w.b.Len()+len(p) > maxCapture {
		w.err = fmt.Errorf("it is larger than %d MB", maxCapture>>20)
	}
	if w.err != nil {
		return 0, w.err
	}
	return w.b.Write(p)
}

// find is a capture by its id; nil: there is none, or it is kept no more.
func (k *captures) find(id string) *capture {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running != nil && k.running.ID == id {
		return k.running
	}
	for _, one := range k.kept {
		if one.ID == id {
			return one
		}
	}
	return nil
}

// list is what the page shows.
func (k *captures) list() *view.Captures {
	out := &view.Captures{Kept: []view.Capture{}}
	for _, kind := range []view.CaptureKind{
		{Kind: cpuProfile, What: "where the processors' time goes, by kind of worker and task", Took: profileTime.Seconds()},
		{Kind: flightRecord, What: "what each goroutine did in the last seconds"},
		{Kind: goroutineDump, What: "where each goroutine stands"},
		{Kind: heapProfile, What: "what the memory is used for"},
	} {
		if err := k.cannot(kind.Kind); err != nil {
			kind.Why = err.Error()
		}
		out.Kinds = append(out.Kinds, kind)
	}
	out.Recorder.On, out.Recorder.Why = k.recording.state()
	out.Recorder.Window = k.c.opts.Record.Seconds()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range slices.Backward(k.kept) {
		out.Kept = append(out.Kept, one.Capture)
	}
	if k.running != nil {
		running := k.running.Capture
		running.Took = time.Since(running.At).Seconds()
		out.Running = &running
	}
	return out
}

// serveCapture sends the file of one, and waits for it while it is being made.
func (c *Console) serveCapture(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	one := c.captures.find(id)
	if one == nil {
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no capture %q: the last %d are kept", id, maxKept))
		return
	}
	select {
	case <-one.done:
	case <-r.Context().Done():
		return
	}
	if one.Error != "" {
		refuse(w, http.StatusInternalServerError, one.Error)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+one.File+`"`)
	h.Set("Content-Length", strconv.Itoa(one.Bytes))
	_ = send(w, one.bytes) // the error is the client's: it has gone
}

// How the flight recorder runs.
const (
	recordLimit = 20_000 // goroutines
	recordCheck = 5 * time.Second
	recordBytes = 16 << 20
	recordAgain = 30 * time.Second // between two that blocked turns have had kept
)

// recording tracks the flight recorder.
type recording struct {
	mu       sync.Mutex
	recorder *trace.FlightRecorder // nil: it does not run …
	why      string                // … because of this
	kept     time.Time             // when a blocked turn had its window kept last
}

func (r *recording) state() (on bool, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recorder != nil, r.why
}

func (r *recording) writeTo(w *limitedBuffer) error {
	r.mu.Lock()
	recorder, why := r.recorder, r.why
	r.mu.Unlock()
	if recorder == nil {
		return errors.New(why)
	}
	_, err := recorder.WriteTo(w) // not with mu: it takes a while, and pages ask for the state
	return firstError(w.err, err)
}

// record runs the flight recorder until ctx ends, while there are few enough goroutines.
func (c *Console) record(ctx context.Context) {
	r := &c.captures.recording
	if c.opts.Record == 0 {
		return
	}
	limit := c.opts.RecordLimit
	if limit == 0 {
		limit = recordLimit
	}
	defer r.stop("the console has ended")
	tick := time.NewTicker(recordCheck)
	defer tick.Stop()
	for {
		n := runtime.NumGoroutine()
		switch on, _ := r.state(); {
		case limit > 0 && n > limit:
			r.stop(fmt.Sprintf("there are %d goroutines, more than RecordLimit, which is %d", n, limit))
		case !on:
			r.start(c.opts.Record)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (r *recording) start(window time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: window, MaxBytes: recordBytes})
	if err := rec.Start(); err != nil {
		r.why = err.Error() // the program has one of its own
		return
	}
	r.recorder, r.why = rec, ""
}

func (r *recording) stop(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.recorder != nil {
		r.recorder.Stop()
		r.recorder = nil
	}
	r.why = why
}

// keepWindow keeps what the recorder has, because a turn is blocked: at most once in a while.
func (c *Console) keepWindow(why string) {
	r := &c.captures.recording
	r.mu.Lock()
	now := time.Now()
	due := r.recorder != nil && now.Sub(r.kept) >= recordAgain
	if due {
		r.kept = now
	}
	r.mu.Unlock()
	if due {
		_, _ = c.captures.begin(context.Background(), flightRecord, why) // another capture may be under way
	}
}
