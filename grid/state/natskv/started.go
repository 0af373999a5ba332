// SPDX-License-Identifier: Apache-2.0

package natskv

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid/state"
)

// startedSaves tracks the saves that are on their way and hold no goroutine. Each is one message, and the answers to all of them come to
// one subscription. The client's own asynchronous publishing has neither a callback for one message nor an end for one that
// is not answered while the connection lasts.
type startedSaves struct {
	nc          *nats.Conn
	subjects    string // of the bucket's keys, with a dot
	inbox       string // of the answers, with a dot
	notePayload func() // of the store; called by whoever sends

	mu      sync.Mutex
	queue   []*startedSave // not sent yet
	sending bool           // a goroutine sends them
	last    uint64         // number that was given out
	pending map[uint64]*startedSave
	oldest  *startedSave // of pending
	newest  *startedSave
	sweeps  bool // a timer looks for what was not answered

	msg nats.Msg // of whoever sends
	ack []byte   // how an acknowledgement begins that the bucket's stream has sent; of the subscription's goroutine
}

// startedSave is one of them.
type startedSave struct {
	saved    actors.Promise[actors.None]
	o        *owner
	next     state.Record // what the store has then
	value    []byte
	revision uint64 // that it is made at

	number       uint64
	begun        time.Time
	older, newer *startedSave
}

// errUnknown is all that a started save says when it was not acknowledged: Save finds out.
var errUnknown = errors.New("natskv: it is not known whether this is stored")

func startSaves(js jetstream.JetStream, bucket string, notePayload func()) (*startedSaves, error) {
	nc := js.Conn()
	s := &startedSaves{
		nc: nc, notePayload: notePayload, subjects: subjectPrefix(js.Options()) + "$KV." + bucket + ".", inbox: nc.NewInbox() + ".", pending: map[uint64]*startedSave{},
		msg: nats.Msg{Header: nats.Header{jetstream.ExpectedLastSubjSeqHeader: {""}}},
	}
	_, err := nc.Subscribe(s.inbox+"*", s.hear)
	return s, err
}

// subjectPrefix is what a client of another domain has before the subjects of keys, as the client's own KeyValue.
func subjectPrefix(o jetstream.JetStreamOptions) string {
	prefix := jetstream.DefaultAPIPrefix
	switch {
	case o.Domain != "":
		prefix = "$JS." + o.Domain + ".API."
	case o.APIPrefix != "":
		prefix = strings.TrimSuffix(o.APIPrefix, ".") + "."
	}
	if prefix == jetstream.DefaultAPIPrefix {
		return ""
	}
	return prefix
}

// starter is an owner of a store that starts saves.
type starter struct{ *owner }

var _ state.Starter = starter{}

// Start is [state.Starter]'s.
func (o starter) Start(w state.Write) *actors.Future[actors.None] {
	record, revision := o.known()
	p := &startedSave{o: o.owner, revision: revision}
	takes, err := record.Takes(w)
	if takes {
		p.next = record.Apply(w)
		p.value, err = p.next.AppendBinary(nil)
	}
	if err == nil && takes {
		err = o.s.checkSize(p.value)
	}
	switch {
	case err != nil:
		p.saved.Reject(err)
	case !takes:
		p.saved.Resolve(actors.None{})
	default:
		o.s.started.put(p)
	}
	return p.saved.Future()
}

// put has p sent.
func (s *startedSaves) put(p *startedSave) {
	p.begun = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	p.number = s.last
	s.pending[p.number] = p
	if p.older = s.newest; p.older == nil {
		s.oldest = p
	} else {
		p.older.newer = p
	}
	s.newest = p
	if !s.sweeps {
		s.sweeps = true
		time.AfterFunc(firstWait, s.sweep)
	}
	s.queue = append(s.queue, p)
	if !s.sending { // not here: a connection that is stuck is not to hold up a worker's loop
		s.sending = true
		go s.send()
	}
}

// take is the pending save of a number, which is pending no more; nil: there is none.
func (s *startedSaves) take(number uint64) *startedSave {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pending[number]
	if p != nil {
		s.remove(p)
	}
	return p
}

// remove removes a pending save. With mu held.
func (s *startedSaves) remove(p *startedSave) {
	delete(s.pending, p.number)
	if p.older == nil {
		s.oldest = p.newer
	} else {
		p.older.newer = p.newer
	}
	if p.newer == nil {
		s.newest = p.older
	} else {
		p.newer.older = p.older
	}
	p.older, p.newer = nil, nil
}

// send sends what there is, and what comes meanwhile. It begins when the goroutines have run that can run by now: answers that
// come together wake many workers that save again, and what these have is written together.
func (s *startedSaves) send() {
	runtime.Gosched()
	var batch []*startedSave
	for {
		s.mu.Lock()
		batch, s.queue = s.queue, batch[:0]
		s.sending = len(batch) > 0
		s.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for i, p := range batch {
			batch[i] = nil
			s.msg.Subject, s.msg.Reply, s.msg.Data = s.subjects+p.o.key, s.inbox+strconv.FormatUint(p.number, 36), p.value
			s.msg.Header[jetstream.ExpectedLastSubjSeqHeader][0] = strconv.FormatUint(p.revision, 10)
			err := s.nc.PublishMsg(&s.msg) // which has copied it
			p.value = nil
			if err != nil && s.take(p.number) != nil {
				p.saved.Reject(errUnknown)
			}
		}
		s.msg.Data = nil
		s.notePayload()
	}
}

// hear is called with each answer.
func (s *startedSaves) hear(m *nats.Msg) {
	number, err := strconv.ParseUint(m.Subject[len(s.inbox):], 36, 64)
	if err != nil {
		return
	}
	p := s.take(number)
	if p == nil {
		return // it was too late
	}
	revision := s.readAck(m.Data)
	if revision == 0 {
		p.saved.Reject(errUnknown)
		return
	}
	p.o.noteRecord(p.next, revision)
	p.saved.Resolve(actors.None{})
}

// readAck is the revision of an acknowledgement; 0: it is none. All acknowledgements of a stream are alike but for the
// number, and to decode JSON takes eight times as long as to compare them (BenchmarkReadAck).
func (s *startedSaves) readAck(data []byte) uint64 {
	if len(s.ack) > 0 {
		if number, is := bytes.CutPrefix(data, s.ack); is {
			if number, is = bytes.CutSuffix(number, []byte("}")); is {
				if revision, err := strconv.ParseUint(string(number), 10, 64); err == nil {
					return revision
				}
			}
		}
	}
	var ack struct {
		jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	if json.Unmarshal(data, &ack) != nil || ack.Error != nil || ack.Stream == "" {
		return 0
	}
	if before, is := bytes.CutSuffix(data, append(strconv.AppendUint(nil, ack.Sequence, 10), '}')); is {
		s.ack = bytes.Clone(before)
	}
	return ack.Sequence
}

// sweep gives up what was not answered for so long.
func (s *startedSaves) sweep() {
	var late []*startedSave
	s.mu.Lock()
	now := time.Now()
	for s.oldest != nil && now.Sub(s.oldest.begun) >= firstWait {
		late = append(late, s.oldest)
		s.remove(s.oldest)
	}
	if s.sweeps = s.oldest != nil; s.sweeps {
		time.AfterFunc(firstWait-now.Sub(s.oldest.begun), s.sweep)
	}
	s.mu.Unlock()
	for _, p := range late {
		p.saved.Reject(errUnknown)
	}
}
