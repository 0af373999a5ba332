// SPDX-License-Identifier: Apache-2.0

// Package natskv keeps the state of keys in a key-value bucket of NATS JetStream, for package
// [github.com/protoloop/protoloop/grid/state]:
//
//	js, err := jetstream.New(nc)
//	_, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "accounts", Replicas: 3})
//	store, err := natskv.New(ctx, js, "accounts")
//
// On the hubs of package grid/hub a node may not make a bucket, so the second line is left out there: the hubs make those that
// Options.Buckets or hub -buckets names, and nc is from Queues of package grid/hub/hubclient.
//
// A key has one value: the record. Each save writes all of it, a journal's changes too, at the
// revision that the owner knows. So an owner saves with one round trip, during which it holds no goroutine, and it is fenced by the
// revision that the next owner has made. Reads may be stale, as they are in a cluster: a write at a stale revision
// fails, and is tried again.
//
// What the server acknowledges survives the end of its process. It survives a loss of power if the
// server has SyncAlways, or the bucket has replicas elsewhere. A value has to fit into the server's
// max_payload, 1 MB unless it is set, and into the bucket's MaxValueSize: see MaxSize of [state.Limited].
package natskv

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/internal/natsrefusal"
)

// Store is a bucket. Nobody else may write to its keys.
type Store struct {
	kv      jetstream.KeyValue
	nc      *nats.Conn
	most    int           // bytes of a value in the bucket; 0: any
	payload atomic.Int64  // max_payload of the server; see notePayload
	started *startedSaves // nil: saves are not started
}

var _ state.Store = (*Store)(nil)

// New is a store in a bucket, which has to exist. One that the server does not let the client use is [nats.ErrPermissionViolation].
// One whose values expire is refused: state would be lost. The store has one
// subscription on the connection, for what answers its saves.
func New(ctx context.Context, js jetstream.JetStream, bucket string) (*Store, error) {
	var kv jetstream.KeyValue
	var status jetstream.KeyValueStatus
	err := natsrefusal.Watch(ctx, js.Conn().LastError, []string{"KV_" + bucket}, func(ctx context.Context) (err error) {
		if kv, err = js.KeyValue(ctx, bucket); err == nil {
			status, err = kv.Status(ctx)
		}
		return err
	})
	if errors.Is(err, nats.ErrPermissionViolation) {
		return nil, fmt.Errorf("natskv: the server has no bucket %s, or this client may not use it; hubs have those of -buckets: %w", bucket, err)
	}
	if err != nil {
		return nil, fmt.Errorf("natskv: the bucket %s: %w", bucket, err)
	}
	if ttl := status.TTL(); ttl > 0 {
		return nil, fmt.Errorf("natskv: values of the bucket %s expire after %v: state would be lost; take one without a TTL", bucket, ttl)
	}
	s := &Store{kv: kv, nc: js.Conn()}
	s.notePayload()
	of, is := status.(*jetstream.KeyValueBucketStatus)
	if is {
		s.most = int(max(of.StreamInfo().Config.MaxMsgSize, 0))
	}
	if is && of.StreamInfo().Config.Mirror == nil { // a mirror's writes go elsewhere
		if s.started, err = startSaves(js, bucket, s.notePayload); err != nil {
			return nil, fmt.Errorf("natskv: the bucket %s: %w", bucket, err)
		}
	}
	return s, nil
}

// keyOf is the key in the bucket, which may have few kinds of bytes.
func keyOf(key string) string {
	var b strings.Builder
	for i := range len(key) {
		switch c := key[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '/':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// readRecord returns the record and its revision; 0: there is none.
func (s *Store) readRecord(ctx context.Context, key string) (r state.Record, revision uint64, err error) {
	entry, err := s.kv.Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return r, 0, nil
	case err != nil:
		return r, 0, err
	}
	return r, entry.Revision(), r.UnmarshalBinary(entry.Value())
}

// writeRecord stores r in the place of a revision, and returns the new one.
func (s *Store) writeRecord(ctx context.Context, key string, r state.Record, revision uint64) (uint64, error) {
	value, err := r.AppendBinary(nil)
	if err == nil {
		s.notePayload()
		err = s.checkSize(value)
	}
	if err != nil {
		return 0, err
	}
	if revision == 0 {
		return s.kv.Create(ctx, key, value) // also over the marker of a deletion
	}
	return s.kv.Update(ctx, key, value, revision)
}

// headerRoom is more than what a write has beside its value, which counts, too: the revision, with its name.
const headerRoom = 256

// notePayload notes how much the server takes that there is a connection to: each says its own. The client answers when it has
// no connection to make, which can take as long as its Timeout, so only who waits for a server anyway may ask it.
func (s *Store) notePayload() { s.payload.Store(s.nc.MaxPayload()) }

// maxSize is how long a value may be.
func (s *Store) maxSize() int {
	most := int(s.payload.Load())
	if s.most > 0 {
		most = min(most, s.most)
	}
	return most - headerRoom
}

// checkSize fails if a value is too long. The client would say so of itself, but not in a way that lasts; and the server would of the bucket.
func (s *Store) checkSize(value []byte) error {
	if most := s.maxSize(); len(value) > most {
		return fmt.Errorf("natskv: %w: it is %d bytes, and may be %d, by the server's max_payload and the bucket's MaxValueSize", state.ErrTooLarge, len(value), most)
	}
	return nil
}

// isStale reports whether a write has failed because the key has another revision. A replicated
// stream says so by a code of its own, also while a write before it is under way.
func isStale(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// pauseBeforeRead waits before a stale read is tried again.
func pauseBeforeRead(ctx context.Context, n int) error {
	select {
	case <-time.After(min(time.Millisecond<<n, 100*time.Millisecond)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Open is [state.Store]'s.
func (s *Store) Open(ctx context.Context, key string) (state.Owner, state.Record, error) {
	o := &owner{s: s, key: keyOf(key)}
	if err := instead(ctx, o.open); err != nil {
		return nil, state.Record{}, err
	}
	if s.started != nil {
		return starter{o}, o.record, nil
	}
	return o, o.record, nil
}

// owner remembers what the store has, so that a save need not read it first.
type owner struct {
	s   *Store
	key string

	mu       sync.Mutex // not held during a call: one that hangs is not to hold up the next try
	record   state.Record
	revision uint64
}

// open takes the key from whoever has it.
func (o *owner) open(ctx context.Context) error {
	for n := 0; ; n = min(n+1, 10) {
		r, revision, err := o.s.readRecord(ctx, o.key)
		if err == nil {
			r.Token, r.Seq = r.Token+1, 0
			o.record = r
			if o.revision, err = o.s.writeRecord(ctx, o.key, r, revision); err == nil {
				return nil
			}
		}
		if !isStale(err) {
			return err
		}
		if err := pauseBeforeRead(ctx, n); err != nil {
			return err
		}
	}
}

var _ state.Limited = (*owner)(nil)

// MaxSize is [state.Limited]'s.
func (o *owner) MaxSize() int { return o.s.maxSize() }

// Save is [state.Owner]'s.
func (o *owner) Save(ctx context.Context, w state.Write) error {
	return beside(ctx, func(ctx context.Context) error { return o.save(ctx, w) })
}

// save may run more than once at a time for a write: whichever comes later finds it stored.
func (o *owner) save(ctx context.Context, w state.Write) error {
	record, revision := o.known()
	for n := 0; ; n = min(n+1, 10) {
		takes, err := record.Takes(w)
		if err != nil || !takes {
			return err
		}
		next := record.Apply(w)
		stored, err := o.s.writeRecord(ctx, o.key, next, revision)
		if err == nil {
			o.noteRecord(next, stored)
			return nil
		}
		if !isStale(err) {
			return err
		}
		if r, at := o.known(); at > revision { // a call beside this one was acknowledged: no need to read
			record, revision = r, at
			continue
		}
		if n > 0 { // the first time it is another owner, or this save was made and its answer lost
			if err := pauseBeforeRead(ctx, n); err != nil {
				return err
			}
		}
		if record, revision, err = o.readSaved(ctx); err != nil {
			return err
		}
		o.noteRecord(record, revision)
	}
}

// staleReads is how many reads may show less than what is known to be saved.
const staleReads = 10

// readSaved is readRecord, but for what a server shows that lags: without what the owner knows to be saved. By that
// nobody can tell whether a save is stored, or fenced.
func (o *owner) readSaved(ctx context.Context) (state.Record, uint64, error) {
	_, saved := o.known()
	for n := 1; ; n++ {
		r, revision, err := o.s.readRecord(ctx, o.key)
		if err != nil || revision >= saved {
			return r, revision, err
		}
		lags := fmt.Errorf("natskv: %s is at revision %d, and %d was saved: the server that was asked lags, or the store has lost what was saved", o.key, revision, saved)
		if n == staleReads {
			return r, 0, lags
		}
		if err := pauseBeforeRead(ctx, n); err != nil {
			return r, 0, fmt.Errorf("%w: %w", lags, err)
		}
	}
}

// known is what the store has, as far as the owner knows.
func (o *owner) known() (state.Record, uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.record, o.revision
}

// noteRecord notes what the store has, unless something later is known.
func (o *owner) noteRecord(r state.Record, revision uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if revision > o.revision {
		o.record, o.revision = r, revision
	}
}
