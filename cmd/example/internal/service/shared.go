// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/loopsync"
	"github.com/protoloop/protoloop/cmd/example/internal/service/listpb"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/state"
)

// The list of a cluster is a kind of one key. Whichever process owns the key has its worker.
const (
	sharedKind = "items"
	sharedKey  = "all"
)

// change is one of the shared list, with its number as the place of its item.
type change struct {
	entry
	time int64 // of a removal, in seconds since 1970
}

// shared is the list of a cluster, as its key's worker has it and stores it. One value of the store has all of it: see maxStored.
type shared struct {
	contents
	seq      uint64   // of the last change
	removals []change // the oldest first
	removed  map[string]struct{}
	bytes    int // of removals, as they are stored
}

// A value of the store has to fit into a message of NATS, of a megabyte. The list takes no more when it has maxStored; a change
// that is stored beside it takes 2.2 kB at most, and there are storeEvery of them.
const (
	maxStored  = 900_000
	storeEvery = 40
	itemStored = 16 // beside its texts
	goneStored = 24
)

// keepRemoved is how many removals are remembered for forgetRemoved. All are for forgetAtLeast: see forgetting.
const keepRemoved = 2000

// Apply is a state.Applier's: it makes the same of the same changes, whoever loads them.
func (s *shared) Apply(c change) {
	if s.items == nil {
		s.contents, s.removed = newContents(), map[string]struct{}{}
	}
	s.seq = c.Seq
	s.contents.apply(c.entry)
	if !c.Removed {
		return
	}
	s.removals = append(s.removals, c)
	s.removed[c.Key] = struct{}{}
	s.bytes += len(c.Key) + goneStored
	for age := time.Duration(0); ; {
		old := s.removals[0]
		age = time.Duration(c.time-old.time) * time.Second
		if len(s.removals) == 1 || age < forgetRemoved && (age < forgetAtLeast || len(s.removals) <= keepRemoved) {
			return
		}
		s.removals = s.removals[1:]
		delete(s.removed, old.Key)
		s.bytes -= len(old.Key) + goneStored
	}
}

// knows reports whether an item is in the list, or was.
func (s *shared) knows(key string) bool {
	_, here := s.items[key]
	_, was := s.removed[key]
	return here || was
}

func (s *shared) room() error {
	if s.contents.stored()+s.bytes >= maxStored {
		return errNoRoom
	}
	return nil
}

// stored is what the items take where they are stored.
func (c *contents) stored() int { return c.bytes - (itemBytes-itemStored)*len(c.items) }

// stateFormat is how the list is stored.
var stateFormat = state.Format{
	Encode: func(v any) ([]byte, error) {
		s := v.(*shared)
		return proto.Marshal(&listpb.List{Seq: s.seq, Items: s.protoItems(), Removals: protoChanges(s.removals)})
	},
	Decode: func(data []byte, v any) error {
		var l listpb.List
		if err := proto.Unmarshal(data, &l); err != nil {
			return err
		}
		s := v.(*shared)
		s.contents, s.removed = newContents(), map[string]struct{}{}
		for _, i := range l.Items {
			s.contents.apply(entry{Item: itemOf(i)})
		}
		for _, c := range l.Removals {
			s.Apply(changeOf(c))
		}
		s.seq = l.Seq
		return nil
	},
}

// changeFormat is how a change is stored.
var changeFormat = state.Format{
	Encode: func(v any) ([]byte, error) { return proto.Marshal(protoChange(*v.(*change))) },
	Decode: func(data []byte, v any) error {
		var c listpb.Change
		if err := proto.Unmarshal(data, &c); err != nil {
			return err
		}
		*v.(*change) = changeOf(&c)
		return nil
	},
}

// sharedList is the worker of the list's key. Whoever shows the list follows it: it asks for what comes after the last change that it
// has, and is answered when that is stored. So nobody misses a change, or has it twice, whichever process has the key.
type sharedList struct {
	journal  *state.Journal[shared, change, *shared]
	recent   []change           // the last ones, also those that are not stored yet
	before   uint64             // the number of the one before these
	saved    uint64             // all up to this one are stored
	recorded loopsync.Condition // there are some that are not stored
	stored   loopsync.Condition // there are some more that are
}

// keepRecent is how many changes a follower may be behind, before it is told all.
const keepRecent = 4096

// sharedKindOf is the kind, with its state in a store.
func sharedKindOf(store state.Store) grid.Kind {
	options := state.JournalOptions{Options: state.Options{Store: store, Kind: sharedKind, Format: stateFormat}, Changes: changeFormat, Every: storeEvery}
	return grid.Kind{
		Name:    sharedKind,
		Idle:    -1, // there is always somebody who follows it
		Accepts: []grid.Message{grid.MessageOf[*listpb.Put](), grid.MessageOf[*listpb.Remove](), grid.MessageOf[*listpb.Follow]()},
		Setup: func(w *actors.Worker, id string) error {
			journal, err := state.LoadJournal[shared, change](w, id, options)
			if err != nil {
				return err
			}
			l := &sharedList{journal: journal, before: journal.Value().seq, saved: journal.Value().seq}
			actors.Handle(w, l.put)
			actors.Handle(w, l.remove)
			actors.Handle(w, l.follow)
			w.Background("tell what is stored", func(t *actors.Task) error { return t.UntilStop(l.tell) })
			return nil
		},
	}
}

var errNoItem = errors.New("there is no item in the message")

func (l *sharedList) put(t *actors.Task, p *listpb.Put) (*emptypb.Empty, error) {
	i, err := itemOf(p.GetItem()).checked()
	if p.GetItem() == nil {
		err = errNoItem
	}
	s := l.journal.Value()
	switch {
	case err != nil:
		return nil, err
	case s.knows(i.Key):
		return &emptypb.Empty{}, l.journal.Saved(t)
	}
	if err := s.room(); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, l.record(t, change{entry: entry{Item: i}})
}

func (l *sharedList) remove(t *actors.Task, r *listpb.Remove) (*listpb.Removed, error) {
	if _, here := l.journal.Value().items[r.Key]; !here {
		return &listpb.Removed{}, l.journal.Saved(t)
	}
	return &listpb.Removed{Removed: true}, l.record(t, change{entry: entry{Item: Item{Key: r.Key}, Removed: true}, time: time.Now().Unix()})
}

// record returns when the change is stored.
func (l *sharedList) record(t *actors.Task, c change) error {
	c.Seq = l.journal.Value().seq + 1
	l.recent = append(l.recent, c)
	if len(l.recent) > 2*keepRecent {
		l.before = l.recent[len(l.recent)-keepRecent-1].Seq
		l.recent = append([]change(nil), l.recent[len(l.recent)-keepRecent:]...)
	}
	l.recorded.NotifyAll()
	return l.journal.Record(t, c)
}

// tell tells the followers what is stored. It is no handler's work: one that is ended while it waits leaves a save that goes on.
func (l *sharedList) tell(t *actors.Task) error {
	for {
		if err := l.recorded.WaitFor(t, func() bool { return l.journal.Value().seq > l.saved }); err != nil {
			return err
		}
		seq := l.journal.Value().seq
		if err := l.journal.Saved(t); err != nil {
			return err
		}
		l.saved = seq
		l.stored.NotifyAll()
	}
}

const (
	// followFor is how long a follower waits for a change until it asks anew.
	followFor = 10 * time.Second
	// maxAnswer is how many bytes of changes one answer has, about.
	maxAnswer = 500_000
)

func (l *sharedList) follow(t *actors.Task, f *listpb.Follow) (*listpb.Changes, error) {
	if f.All || f.Seq < l.before || f.Seq > l.saved {
		s := l.journal.Value()
		all := &listpb.Changes{All: true, Seq: s.seq}
		for _, i := range s.protoItems() {
			all.Changes = append(all.Changes, &listpb.Change{Item: i})
		}
		return all, l.journal.Saved(t)
	}
	_ = t.Scope(func(t *actors.Task) error { // if that ends there is nothing to tell
		return l.stored.WaitFor(t, func() bool { return l.saved > f.Seq })
	}, actors.Timeout(followFor), actors.UntilStop())
	if err := t.Context().Err(); err != nil {
		return nil, err
	}
	answer := &listpb.Changes{Seq: f.Seq}
	if f.Seq < l.before { // it was too far behind when it came to wait, and more have come
		return answer, nil
	}
	for bytes, at := 0, f.Seq-l.before; answer.Seq < l.saved && bytes < maxAnswer; at++ {
		c := l.recent[at]
		answer.Changes = append(answer.Changes, protoChange(c))
		answer.Seq = c.Seq
		bytes += c.bytes()
	}
	return answer, nil
}

func protoOf(i Item) *listpb.Item { return &listpb.Item{Key: i.Key, Text: i.Text, Seq: i.Seq} }

func itemOf(i *listpb.Item) Item { return Item{Key: i.GetKey(), Text: i.GetText(), Seq: i.GetSeq()} }

func protoChange(c change) *listpb.Change {
	return &listpb.Change{Item: protoOf(c.Item), Removed: c.Removed, Time: c.time}
}

func changeOf(c *listpb.Change) change {
	return change{entry{Item: itemOf(c.GetItem()), Removed: c.GetRemoved()}, c.GetTime()}
}

func protoChanges(cs []change) []*listpb.Change {
	all := make([]*listpb.Change, len(cs))
	for i, c := range cs {
		all[i] = protoChange(c)
	}
	return all
}

// protoItems is the items in the order of their places.
func (c *contents) protoItems() []*listpb.Item {
	all := make([]*listpb.Item, 0, len(c.items))
	for _, i := range c.order {
		if !c.gone(i) {
			all = append(all, protoOf(i))
		}
	}
	return all
}
