// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"slices"
	"sync"
)

// Memory is a store in the memory of this process, for tests and for state that need not outlive
// it. The zero value is ready.
type Memory struct {
	mu      sync.Mutex
	records map[string]Record
}

var _ Store = (*Memory)(nil)

// Open is [Store]'s.
func (m *Memory) Open(ctx context.Context, key string) (Owner, Record, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		m.records = map[string]Record{}
	}
	r := m.records[key]
	r.Token, r.Seq = r.Token+1, 0
	r.Changes = slices.Clip(r.Changes) // whoever appends to it does so elsewhere
	m.records[key] = r
	return memoryOwner{m, key}, r, nil
}

type memoryOwner struct {
	m   *Memory
	key string
}

// Save is [Owner]'s.
func (o memoryOwner) Save(ctx context.Context, w Write) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	o.m.mu.Lock()
	defer o.m.mu.Unlock()
	r := o.m.records[o.key]
	takes, err := r.Takes(w)
	if takes {
		o.m.records[o.key] = r.Apply(w)
	}
	return err
}
