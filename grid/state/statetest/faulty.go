// SPDX-License-Identifier: Apache-2.0

package statetest

import (
	"context"
	"sync"

	"github.com/protoloop/protoloop/grid/state"
)

// Faulty is a store with faults. Before is called ahead of each call of the store, and After behind
// one that has succeeded; what is "open" or "save". An error of Before is returned in the place of the
// call, and one of After in the place of its answer: the call was made, and its answer is lost. Either
// may block, which delays the call or its answer. nil: there is no fault. They may be set while it is in use. Its owners start
// no saves.
type Faulty struct {
	Store state.Store

	mu            sync.Mutex
	before, after Fault
}

// Fault is a Before or After of a [Faulty].
type Fault func(ctx context.Context, what, key string) error

var _ state.Store = (*Faulty)(nil)

// Set sets both.
func (f *Faulty) Set(before, after Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

func (f *Faulty) around(ctx context.Context, what, key string, call func() error) error {
	f.mu.Lock()
	before, after := f.before, f.after
	f.mu.Unlock()
	if before != nil {
		if err := before(ctx, what, key); err != nil {
			return err
		}
	}
	err := call()
	if err == nil && after != nil {
		err = after(ctx, what, key)
	}
	return err
}

// Open is [state.Store]'s.
func (f *Faulty) Open(ctx context.Context, key string) (o state.Owner, r state.Record, err error) {
	err = f.around(ctx, "open", key, func() (err error) {
		o, r, err = f.Store.Open(ctx, key)
		return err
	})
	if err != nil {
		return nil, state.Record{}, err
	}
	return &faultyOwner{f, o, key}, r, nil
}

type faultyOwner struct {
	f   *Faulty
	o   state.Owner
	key string
}

// Save is [state.Owner]'s.
func (o *faultyOwner) Save(ctx context.Context, w state.Write) error {
	return o.f.around(ctx, "save", o.key, func() error { return o.o.Save(ctx, w) })
}
