// SPDX-License-Identifier: Apache-2.0

package life

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the table is not what %s says. If it should be as it is now, run: go test ./internal/life -update\n%s", file, diffLine(got, string(want)))
	}
}

// diffLine is the first line in which two texts differ.
func diffLine(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	line := func(s string) string {
		from, to := i, i
		for from > 0 && s[from-1] != '\n' {
			from--
		}
		for to < len(s) && s[to] != '\n' {
			to++
		}
		return s[from:to]
	}
	return "got  " + line(got) + "\nwant " + line(want)
}

// TestWorkerTable: what each event does in each state that can be reached.
func TestWorkerTable(t *testing.T) {
	golden(t, "worker.txt", WorkerTable().Golden())
}

// TestWorkerEnds: each state has a way to its end.
func TestWorkerEnds(t *testing.T) {
	for _, w := range WorkerTable().Stuck() {
		t.Errorf("a worker that is %v never ends", w)
	}
}

// TestWorkerAllocs: telling the table costs no allocation.
func TestWorkerAllocs(t *testing.T) {
	var w Worker
	if n := testing.AllocsPerRun(100, func() {
		w = Worker{}
		w.On(EngineStarted, 0)
		w.On(SetupSucceeded, 0)
		w.On(ForcedStopAsked, 0)
		w.On(LiveZero, FactHooks)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// world is what a worker lives in: it does what the table says as the driver does,
// and lets happen what can happen.
type world struct {
	t       testing.TB
	w       Worker
	trace   []string
	live    int  // tasks, setup and hooks among them
	offload bool // functions run outside of the loop
	queued  int

	begun    bool // there has been an incarnation
	setup    bool // it runs
	ready    bool // it has succeeded in this incarnation
	open     bool // the queue goes on
	finished bool // the incarnation
	hooks    int  // calls, in this incarnation
	told     int  // the actor
	restart  bool // the engine has been told
	stop     bool // the engine has been told
	gone     bool // let go
	over     bool
	decide   bool // somebody has to decide about a failure
	resumed  bool // … and has
	held     bool // the supervisor wants it quiesced, and has not let it go on
	quiet    bool // … and was told that it does
	facts    WorkerFacts
}

func (x *world) fatalf(format string, args ...any) {
	x.t.Helper()
	for _, line := range x.trace {
		x.t.Log(line)
	}
	x.t.Fatalf(format, args...)
}

// happens is what the driver in package actors is.
func (x *world) happens(e WorkerEvent, f WorkerFacts) {
	was := x.w
	do := x.w.On(e, f)
	x.trace = append(x.trace, was.String()+" | "+WorkerMoment{e, f}.String()+" | "+x.w.String()+" | "+do.String())
	switch e {
	case QuiesceAsked:
		x.held = true
	case RestartAsked:
		x.held, x.quiet = false, false
	case EngineFailed:
		x.restart = false
	case Resumed:
		x.resumed = true
	}
	x.check(was, e, f, do)
	x.carryOut(do)
	if do&DoLookIfLive != 0 {
		x.lookIfLive()
	}
}

func (x *world) lookIfLive() {
	switch {
	case x.live > 0 || x.offload && x.w.Phase() < PhaseRestarting:
	case x.w.Drains() && x.queued == 0:
		x.happens(QueueZero, 0)
	default:
		x.happens(LiveZero, x.facts)
	}
}

// check is what holds at each step, whatever happens.
func (x *world) check(was Worker, e WorkerEvent, f WorkerFacts, do WorkerEffects) {
	has := func(what WorkerEffects) bool { return do&what != 0 }
	switch {
	case was.want == WantStop && x.w.want != WantStop && x.w.phase < PhaseStopped:
		x.fatalf("a worker that wants to stop does not want to any more")
	case was.mode == Draining && x.w.mode != Draining && x.w.phase < PhaseStopped:
		x.fatalf("a worker does not drain any more")
	case x.over && do != 0:
		x.fatalf("after the end there is something to do: %v", do)
	case has(DoBegin) && x.begun && !x.restart:
		x.fatalf("an incarnation begins and nobody has restarted the actor")
	case has(DoBegin) && x.live > 0:
		x.fatalf("an incarnation begins while tasks of another run")
	case has(DoFinish) && x.finished && !has(DoBegin) && e != EngineFailed:
		x.fatalf("an incarnation is finished twice")
	case has(DoCutOff) && !has(DoFinish):
		x.fatalf("tasks are cut off in an incarnation that goes on")
	case has(DoFinish) && x.live > 0 && !has(DoCutOff):
		x.fatalf("an incarnation is finished and its tasks are not told")
	case has(DoRunHooks|DoTellActor|DoTellQuiesced|DoEngineStop|DoEngineRestart) && x.live > 0:
		x.fatalf("%v while tasks run", do)
	case has(DoRunHooks|DoTellActor|DoTellQuiesced) && x.offload:
		x.fatalf("%v while offloaded functions run", do)
	case has(DoRunHooks|DoTellActor|DoTellQuiesced|DoEngineStop|DoEngineRestart) && x.begun && !x.finished && !has(DoFinish):
		x.fatalf("%v in an incarnation that goes on", do)
	case has(DoRunHooks) && !x.ready:
		x.fatalf("the hooks of a setup that has not succeeded")
	case has(DoRunHooks) && x.hooks > 0:
		x.fatalf("the hooks run twice")
	case has(DoTellActor) && x.told > 0:
		x.fatalf("the actor is told of its end twice")
	case has(DoEngineStop) && x.stop:
		x.fatalf("the engine is told twice to stop the actor")
	case has(DoEngineRestart) && (x.restart || x.stop):
		x.fatalf("the engine is told to restart an actor that it restarts or stops")
	case has(DoEngineRestart) && was.want == WantStop:
		x.fatalf("a worker that is to stop restarts")
	case has(DoEngineStop|DoEngineRestart) && x.ready && x.facts&FactHooks != 0 && x.hooks == 0 && !x.stop && !x.restart && was.phase != PhaseRestarting:
		x.fatalf("the engine takes an actor whose hooks have not run")
	case has(DoLetGo) && x.gone:
		x.fatalf("the worker lets go twice")
	case has(DoTellStopped) && (!x.gone || x.over):
		x.fatalf("it is told twice that the worker is over, or too early")
	case has(DoOpen|DoReopen) && (x.finished && !has(DoRenew) || x.w.phase != PhaseRunning):
		x.fatalf("messages are handled by an incarnation that has ended")
	case has(DoOpen|DoReopen) && !x.ready:
		x.fatalf("messages are handled, and setup has not succeeded")
	case has(DoFinish) && x.w.want == WantStop && x.queued > 0 && !has(DoDropQueued):
		x.fatalf("what no incarnation will see waits until the tasks have ended")
	case has(DoStartSetup) && x.setup:
		x.fatalf("setup runs twice at a time")
	case has(DoDropQueued) && x.w.want != WantStop:
		x.fatalf("a worker that may go on fails what is queued")
	case has(DoEscalate) && x.decide && e != EngineFailed:
		x.fatalf("two failures wait for a decision")
	case has(DoEscalate) && x.w.phase != PhaseUnwinding:
		x.fatalf("a worker that has failed is %v", x.w)
	case has(DoFinish) && (e == LiveZero || e == QueueZero) && x.queued > 0:
		x.fatalf("a worker that drains ends before its queue is empty")
	case has(DoFinish) && e == TaskFailed && f&FactStopping != 0 && was.phase == PhaseRunning:
		x.fatalf("a failure after the stop event cuts off what else was accepted")
	case has(DoRenew) && !x.resumed:
		x.fatalf("a worker that has failed goes on, and nobody has said so")
	case has(DoStartSetup|DoOpen) && x.held:
		x.fatalf("a worker goes on that is to be quiesced")
	case has(DoTellQuiesced) && x.quiet:
		x.fatalf("the supervisor is told twice that nothing is left")
	}
}

// waits checks that whoever a worker waits for knows of it, when nothing happens.
func (x *world) waits() {
	switch idle := x.live == 0 && !x.offload && x.begun && !x.gone; {
	case x.w.phase == PhaseUnwinding && x.w.want == WantNothing && !x.decide:
		x.fatalf("a worker has failed, and nobody is asked what to do")
	case idle && x.w.want == WantStop && !x.stop:
		x.fatalf("a worker wants to stop, nothing is in the way, and the engine is not told")
	case idle && x.held && x.w.want == WantQuiesce && !x.restart && !x.quiet:
		x.fatalf("a worker is quiesced, and the supervisor is not told")
	case x.live == 0 && x.queued == 0 && !x.offload && x.w.Drains():
		x.fatalf("nothing is left to do, and the worker does not end")
	}
}

func (x *world) carryOut(do WorkerEffects) {
	for ; do != 0; do &= do - 1 {
		switch do & -do {
		case DoBegin:
			x.begun, x.restart, x.finished, x.ready, x.setup, x.open = true, false, false, false, false, false
			x.hooks, x.told, x.decide, x.resumed = 0, 0, false, false
		case DoRenew:
			x.finished, x.decide, x.resumed = false, false, false
		case DoFinish:
			x.finished, x.open = true, false
		case DoDropQueued:
			x.queued = 0
		case DoAbandonOffloads:
			x.offload = false
		case DoOpen, DoReopen:
			x.open = true
		case DoStartSetup:
			x.live++
			x.setup = true
			x.hooks, x.told = 0, 0
		case DoRunHooks:
			x.live++
			x.hooks++
		case DoTellActor:
			x.live++
			x.told++
		case DoTellQuiesced:
			x.quiet = true
		case DoEscalate:
			x.decide = true
		case DoEngineRestart:
			x.restart = true
		case DoEngineStop:
			x.stop, x.restart = true, false
		case DoLetGo:
			x.gone = true
		case DoTellStopped:
			x.over = true
		}
	}
}

// step lets something happen that can. It reports false if n says nothing of it.
func (x *world) step(n byte) {
	stopping := WorkerFacts(0)
	if n&0x80 != 0 {
		stopping = FactStopping
	}
	switch n % 20 {
	case 0:
		x.happens(StopAsked, 0)
	case 1:
		if stopping != 0 { // not too often
			x.happens(ForcedStopAsked, 0)
		}
	case 2: // of a sibling, by a plain parent
		x.happens(RestartAsked, 0)
	case 3:
		x.happens(QuiesceAsked, 0)
	case 4, 5:
		if x.decide {
			x.happens(Resumed, 0)
		}
	case 6:
		if x.decide {
			x.happens(RestartAsked, 0)
		}
	case 7:
		x.happens(GraceOver, 0)
	case 8:
		x.happens(GraceOver, FactAgain)
	case 9, 10:
		x.engine(stopping)
	case 11: // somebody sends
		if !x.gone {
			x.queued++
		}
	case 12, 13: // … and it is begun
		if x.open && x.queued > 0 {
			x.queued--
			x.live++
		}
	case 14, 15, 16:
		x.end(0, false)
	case 17:
		x.end(stopping, true)
	case 18:
		if x.open {
			x.offload = true
		}
	case 19:
		if x.offload {
			x.offload = false
			x.lookIfLive()
		}
	}
}

// end lets a task end, setup first.
func (x *world) end(stopping WorkerFacts, fails bool) {
	if x.live == 0 {
		return
	}
	x.live--
	switch {
	case x.setup && fails && stopping != 0:
		x.setup = false
		x.happens(SpawnFailed, 0)
		x.happens(ForcedStopAsked, 0)
		fails = false
	case x.setup && fails:
		x.setup = false
		x.happens(SetupFailed, 0)
	case x.setup:
		x.setup, x.ready = false, true
		x.happens(SetupSucceeded, 0)
	}
	if fails {
		x.happens(TaskFailed, stopping)
	}
	if x.live == 0 && !x.w.Serves() {
		x.lookIfLive()
	}
}

// engine lets it answer. What happens at the stop event may as well be that the actor
// cannot be made anew.
func (x *world) engine(stopping WorkerFacts) {
	switch {
	case x.restart && stopping != 0 && x.live == 0:
		x.happens(EngineFailed, WorkerFacts(x.w.mode)*FactStopping)
	case !x.begun || x.restart:
		x.happens(EngineStarted, 0)
	case x.stop && !x.gone:
		x.happens(EngineStopped, 0)
	}
	if x.gone && !x.over {
		x.happens(PendingZero, 0)
	}
}

// ends lets the worker be stopped, and the rest of the world do what it is asked to.
func (x *world) ends() {
	x.happens(ForcedStopAsked, 0)
	for range 20 {
		x.engine(0)
		for x.live > 0 {
			x.end(0, false)
		}
		if x.offload {
			x.happens(GraceOver, FactAgain)
		}
		if x.over {
			return
		}
	}
	x.fatalf("it does not end: %v", x.w)
}

// FuzzWorker: whatever happens, in any order, what check says holds, and the worker
// can be stopped.
func FuzzWorker(f *testing.F) {
	f.Add(byte(3), []byte{9, 14, 11, 12, 17, 4, 14, 9, 0x80 + 13, 14, 9}) // fails, is resumed, and stopped
	f.Add(byte(0), []byte{9, 14, 3, 6, 9, 14, 2, 9, 14, 0})               // quiesces and restarts
	f.Add(byte(0), []byte{9, 14, 11, 12, 0x80 + 9})                       // fails at the stop event
	f.Add(byte(0), []byte{9, 14, 3, 2, 0x80 + 21, 3})                     // quiesces, cannot be made anew, and quiesces
	f.Add(byte(1), []byte{3, 9, 2, 0x80 + 9, 4, 0x80 + 1, 14})            // … is resumed, and stops in setup
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		steps := make([]byte, 60)
		for i := range steps {
			steps[i] = byte(rnd.Uint32())
		}
		f.Add(byte(rnd.Uint32()), steps)
	}
	f.Fuzz(func(t *testing.T, facts byte, steps []byte) {
		x := &world{t: t, facts: WorkerFacts(facts&3) * FactHooks}
		for _, n := range steps {
			x.step(n)
			x.waits()
		}
		x.ends()
	})
}
