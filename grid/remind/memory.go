// SPDX-License-Identifier: Apache-2.0

package remind

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
)

// Memory is a store in the memory of this process, for tests and for reminders that need not
// outlive it. It works in a testing/synctest bubble.
type Memory struct {
	queue *memory.Queue // of what is due

	mu      sync.Mutex
	version uint64 // of the last entry
	entries map[Key]*memoryEntry
}

type memoryEntry struct {
	Entry
	version uint64
	timer   *time.Timer // until it is due
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store. o is about the queue of what is due.
func NewMemory(o memory.Options) *Memory {
	return &Memory{queue: memory.New(o), entries: map[Key]*memoryEntry{}}
}

// Dead is what was given up, in the order in which it was.
func (m *Memory) Dead() []consumer.Dead { return m.queue.Dead() }

// versionAttr tells which entry a message of the queue is of.
const versionAttr = "Reminder-Version"

// Set is [Store]'s.
func (m *Memory) Set(ctx context.Context, e Entry) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.setHeld(e)
	return nil
}

func (m *Memory) setHeld(e Entry) {
	m.removeHeld(e.Key)
	m.version++
	e.At = e.At.UTC()
	one := &memoryEntry{Entry: e, version: m.version}
	m.entries[e.Key] = one
	one.timer = time.AfterFunc(max(time.Until(e.At), 1), func() { m.sendDue(one) })
}

func (m *Memory) removeHeld(k Key) bool {
	one := m.entries[k]
	if one == nil {
		return false
	}
	one.timer.Stop()
	delete(m.entries, k)
	return true
}

// sendDue puts an entry into the queue.
func (m *Memory) sendDue(e *memoryEntry) {
	body, _ := e.AppendBinary(nil) // does not fail
	version := strconv.FormatUint(e.version, 10)
	m.queue.Send(consumer.Message{ID: version, Body: body, Attributes: map[string]string{versionAttr: version}})
}

// Cancel is [Store]'s.
func (m *Memory) Cancel(ctx context.Context, k Key) (bool, error) {
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.removeHeld(k), nil
}

// List is [Store]'s.
func (m *Memory) List(ctx context.Context, kind, id string) ([]Entry, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Entry
	for k, e := range m.entries {
		if k.Kind == kind && k.ID == id {
			all = append(all, e.Entry)
		}
	}
	sortEntries(all)
	return all, nil
}

// standingHeld is the entry that a message of the queue is of, or nil if it does not stand.
func (m *Memory) standingHeld(msg consumer.Message) *memoryEntry {
	e, err := EntryOf(msg)
	if err != nil {
		return nil
	}
	one := m.entries[e.Key]
	if one == nil || strconv.FormatUint(one.version, 10) != msg.Attributes[versionAttr] {
		return nil
	}
	return one
}

// Stands is [Store]'s.
func (m *Memory) Stands(ctx context.Context, msg consumer.Message) (bool, error) {
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.standingHeld(msg) != nil, nil
}

// endDue ends the entry of a message that is done or given up, or has it due again.
func (m *Memory) endDue(msg *consumer.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.standingHeld(*msg)
	if one == nil {
		return
	}
	if next, again := one.Next(time.Now()); again {
		m.setHeld(next)
	} else {
		m.removeHeld(one.Key)
	}
}

// Open is [Store]'s.
func (m *Memory) Open(ctx context.Context) (consumer.Source, error) {
	src, err := m.queue.Open(ctx)
	if err != nil {
		return nil, err
	}
	return &memorySource{src.(queueSource), m}, nil
}

type queueSource interface {
	consumer.DeadLetterer
	consumer.Lagger
}

type memorySource struct {
	queueSource
	m *Memory
}

// endAll ends what a call of the queue has succeeded for.
func (s *memorySource) endAll(err error, n int, at func(i int) *consumer.Message) {
	var batch *consumer.BatchError
	if err != nil && !errors.As(err, &batch) {
		return
	}
	for i := range n {
		if batch == nil || batch.Errs[i] == nil {
			s.m.endDue(at(i))
		}
	}
}

// Ack is [consumer.Source]'s.
func (s *memorySource) Ack(ctx context.Context, ms []*consumer.Message) error {
	err := s.queueSource.Ack(ctx, ms)
	s.endAll(err, len(ms), func(i int) *consumer.Message { return ms[i] })
	return err
}

// DeadLetter is [consumer.DeadLetterer]'s.
func (s *memorySource) DeadLetter(ctx context.Context, ds []consumer.Dead) error {
	err := s.queueSource.DeadLetter(ctx, ds)
	s.endAll(err, len(ds), func(i int) *consumer.Message { return ds[i].Message })
	return err
}
