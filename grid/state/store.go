// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/protoloop/protoloop/actors"
)

// Store keeps a [Record] for each key. Any goroutine may call its methods.
type Store interface {
	// Open makes the caller the owner of a key, with a token that is greater than those of all
	// owners before it, and returns what is stored. When it has returned, a save of a former owner
	// fails, however late it comes. A key that was never opened has an empty record. If the answer of an Open is lost
	// the key may have an owner that nobody is: the next Open makes another one.
	Open(ctx context.Context, key string) (Owner, Record, error)
}

// Owner saves the state of one key. Saves are made one after the other, but one that has timed out
// may be tried again while it is still under way.
type Owner interface {
	// Save changes the record as [Record.Apply] does, if [Record.Takes] says so, in one step. It
	// returns nil if the change is stored and will not be lost, be it by this call or by one before; an
	// [actors.ErrFenced] if there is another owner; an [ErrTooLarge] if it never will be stored; any other error if it does not know: the
	// same Write is tried again then.
	Save(ctx context.Context, w Write) error
}

// Starter is an [Owner] whose saves need no goroutine while they are on their way.
type Starter interface {
	Owner
	// Start begins what Save does and returns at once. A worker's loop calls it, so it waits for nobody. Its future ends within
	// a second: with nil if the change is stored and will not be lost, with an [actors.ErrFenced] if there is another owner,
	// with an [ErrTooLarge] if it never will be stored, and with any other error if it does not know: Save is called with the same Write then.
	Start(w Write) *actors.Future[actors.None]
}

// Limited is an [Owner] whose store does not take records of every size.
type Limited interface {
	Owner
	// MaxSize is how long a record may be, in bytes, as [Record.AppendBinary] writes it. It is asked for each save, by a worker's loop.
	MaxSize() int
}

// ErrTooLarge says that the store does not take so large a record. It never will, so Save and Start return it at once.
var ErrTooLarge = errors.New("the state is too large for its store")

// Record is what a store has of a key.
type Record struct {
	Token    uint64   // of the owner; 0: there was none
	Seq      uint64   // of the last save by that owner; 0: it has not saved
	Snapshot []byte   // the state; nil: there is none
	Changes  [][]byte // those since the snapshot, in order
}

// Write is one save.
type Write struct {
	Token    uint64   // of the owner
	Seq      uint64   // 1, 2, 3 … of this owner
	Snapshot []byte   // takes the place of the record's snapshot and changes; nil: they stay
	Changes  [][]byte // are added
}

// Takes reports whether w is to be stored. If not, and there is no error, it is stored already. The error is an
// [actors.ErrFenced] if the owner is another one, or if the record lacks what the owner has saved.
func (r Record) Takes(w Write) (bool, error) {
	switch {
	case w.Token < r.Token:
		return false, fmt.Errorf("%w: its token is %d, that of the owner is %d", actors.ErrFenced, w.Token, r.Token)
	case w.Token > r.Token, w.Seq > r.Seq+1:
		return false, fmt.Errorf("%w: the store has lost what was saved: it knows save %d of owner %d, and this is save %d of owner %d",
			actors.ErrFenced, r.Seq, r.Token, w.Seq, w.Token)
	}
	return w.Seq > r.Seq, nil
}

// Apply is r when w is stored.
func (r Record) Apply(w Write) Record {
	r.Token, r.Seq = w.Token, w.Seq
	if w.Snapshot != nil {
		r.Snapshot, r.Changes = w.Snapshot, nil
	}
	r.Changes = append(slices.Clip(r.Changes), w.Changes...)
	return r
}

// AppendBinary appends r to b, for stores that keep it as one value.
func (r Record) AppendBinary(b []byte) ([]byte, error) {
	room := 4*binary.MaxVarintLen64 + len(r.Snapshot)
	for _, c := range r.Changes {
		room += binary.MaxVarintLen64 + len(c)
	}
	b = slices.Grow(b, room)
	b = binary.AppendUvarint(b, r.Token)
	b = binary.AppendUvarint(b, r.Seq)
	b = binary.AppendUvarint(b, uint64(len(r.Changes)))
	b = appendPart(b, r.Snapshot)
	for _, c := range r.Changes {
		b = appendPart(b, c)
	}
	return b, nil
}

func appendPart(b, part []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

var errDamaged = errors.New("state: this is no record")

// UnmarshalBinary reads what AppendBinary has written.
func (r *Record) UnmarshalBinary(b []byte) error {
	bad := false
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			b, bad = nil, true
			return 0
		}
		b = b[n:]
		return v
	}
	part := func() []byte {
		if n := number(); n > 0 && n <= uint64(len(b)) {
			p := slices.Clone(b[:n])
			b = b[n:]
			return p
		} else if n > 0 {
			bad = true
		}
		return nil
	}
	got := Record{Token: number(), Seq: number()}
	n := number()
	if got.Snapshot = part(); n > uint64(len(b)) { // each change has a byte at least
		return errDamaged
	}
	for range n {
		p := part()
		if p == nil {
			return errDamaged
		}
		got.Changes = append(got.Changes, p)
	}
	if bad || len(b) > 0 {
		return errDamaged
	}
	*r = got
	return nil
}
