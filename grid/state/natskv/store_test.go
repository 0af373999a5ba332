// SPDX-License-Identifier: Apache-2.0

package natskv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/natskv"
	"github.com/protoloop/protoloop/grid/state/statetest"
)

// bucket is one in a server of this process.
type bucket struct {
	jetstream.JetStream
	kv jetstream.KeyValue
}

// KeyValue is that of jetstream.JetStream, but for what a test has put in the place of the client's.
func (b bucket) KeyValue(context.Context, string) (jetstream.KeyValue, error) { return b.kv, nil }

// startBucket starts a server, too.
func startBucket(t testing.TB, dir string, c jetstream.KeyValueConfig) (bucket, func()) {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateOrUpdateKeyValue(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return bucket{js, kv}, func() { nc.Close(); srv.Shutdown() }
}

func store(t testing.TB, b bucket) *natskv.Store {
	t.Helper()
	s, err := natskv.New(t.Context(), b, b.kv.Bucket())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	b, end := startBucket(t, t.TempDir(), jetstream.KeyValueConfig{Bucket: "STATE"})
	defer end()
	statetest.Run(t, store(t, b))
}

// What was acknowledged is there when a server is started on the same folder, and owners go on.
func TestSurvivesTheServersEnd(t *testing.T) {
	dir := t.TempDir()
	var token uint64
	for round := range 3 {
		b, end := startBucket(t, dir, jetstream.KeyValueConfig{Bucket: "STATE"})
		o, r, err := store(t, b).Open(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if r.Token <= token || len(r.Changes) != round {
			t.Errorf("round %d: %+v", round, r)
		}
		token = r.Token
		if err := o.Save(t.Context(), state.Write{Token: r.Token, Seq: 1, Changes: [][]byte{[]byte("c")}}); err != nil {
			t.Fatal(err)
		}
		end()
	}
}

// unreliable is a bucket whose reads are stale and whose answers are lost, as it happens in a cluster.
type unreliable struct {
	jetstream.KeyValue
	stale int                     // so many reads return old
	old   jetstream.KeyValueEntry // nil: there is no key
	lose  int                     // the answers of so many writes are lost
	busy  int                     // so many writes are refused, as while one before is under way
	reads int
}

func (u *unreliable) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	if u.reads++; u.stale == 0 {
		return u.KeyValue.Get(ctx, key)
	}
	if u.stale--; u.old == nil {
		return nil, jetstream.ErrKeyNotFound
	}
	return u.old, nil
}

func (u *unreliable) lost(revision uint64, err error) (uint64, error) {
	if err == nil && u.lose > 0 {
		u.lose--
		return 0, errLost
	}
	return revision, err
}

func (u *unreliable) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if u.busy > 0 {
		u.busy--
		return 0, &jetstream.APIError{ErrorCode: jetstream.JSErrCodeStreamWrongLastSequenceConstant}
	}
	return u.lost(u.KeyValue.Update(ctx, key, value, revision))
}

// TestStaleReadIsNoLoss: a save that was refused for the moment, or whose answer was lost, reads what is stored from a server that lags,
// and shows less than the owner has saved, or what there was before the owner, or nothing. That is not the loss of it: the save is made when the server shows it.
func TestStaleReadIsNoLoss(t *testing.T) {
	b, end := startBucket(t, t.TempDir(), jetstream.KeyValueConfig{Bucket: "STATE"})
	defer end()
	u := &unreliable{KeyValue: b.kv}
	s := store(t, bucket{b, u})
	get := func() jetstream.KeyValueEntry {
		t.Helper()
		e, err := b.kv.Get(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	open := func() (state.Owner, state.Record) {
		t.Helper()
		o, r, err := s.Open(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		return o, r
	}
	open()
	before := get()
	o, r := open()
	seq := uint64(0)
	save := func() error {
		return o.Save(t.Context(), state.Write{Token: r.Token, Seq: seq, Changes: [][]byte{fmt.Append(nil, seq)}})
	}
	var old jetstream.KeyValueEntry
	for range 2 {
		if seq++; seq == 2 {
			old = get()
		}
		if err := save(); err != nil {
			t.Fatal(err)
		}
	}
	for _, u.old = range []jetstream.KeyValueEntry{before, old, nil} {
		seq++
		u.busy, u.stale = 1, 3
		if err := save(); err != nil || u.stale > 0 {
			t.Errorf("%v; %d reads are left", err, u.stale)
		}
		seq++
		u.lose = 1
		if err := save(); !errors.Is(err, errLost) {
			t.Error(err)
		}
		u.stale = 3
		if err := save(); err != nil || u.stale > 0 {
			t.Errorf("%v; %d reads are left", err, u.stale)
		}
	}
	if _, r := open(); string(bytes.Join(r.Changes, nil)) != "12345678" {
		t.Errorf("%+v", r)
	}
	u.busy, u.stale, u.old = 1, 1_000_000, old
	if err := o.Save(t.Context(), state.Write{Token: r.Token, Seq: seq + 1, Snapshot: []byte("x")}); err == nil || errors.Is(err, actors.ErrFenced) {
		t.Errorf("whether it is stored nobody can tell as long as reads are stale: %v", err)
	}
}

func (u *unreliable) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	return u.lost(u.KeyValue.Create(ctx, key, value, opts...))
}

var errLost = errors.New("the answer is lost")

// A stale read gives nobody a token twice, and lets nobody save what is fenced. A save whose answer was lost is found.
func TestStaleReadsAndLostAnswers(t *testing.T) {
	b, end := startBucket(t, t.TempDir(), jetstream.KeyValueConfig{Bucket: "STATE"})
	defer end()
	u := &unreliable{KeyValue: b.kv}
	s := store(t, bucket{b, u})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	first, r1, err := s.Open(t.Context(), "a")
	must(err)
	must(first.Save(t.Context(), state.Write{Token: r1.Token, Seq: 1, Changes: [][]byte{[]byte("1")}}))
	u.stale = 3 // reads that find no key
	second, r2, err := s.Open(t.Context(), "a")
	must(err)
	if r2.Token != r1.Token+1 || len(r2.Changes) != 1 || u.stale != 0 {
		t.Errorf("%+v", r2)
	}
	if u.old, err = b.kv.Get(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	u.lose = 1
	two := state.Write{Token: r2.Token, Seq: 1, Changes: [][]byte{[]byte("2")}}
	if err := second.Save(t.Context(), two); !errors.Is(err, errLost) {
		t.Error(err)
	}
	u.stale = 3 // reads that do not show it yet
	must(second.Save(t.Context(), two))
	u.reads = 0
	must(second.Save(t.Context(), state.Write{Token: r2.Token, Seq: 2, Changes: [][]byte{[]byte("3")}}))
	if u.reads != 0 {
		t.Errorf("a save has read %d times", u.reads)
	}
	u.stale = 2
	if err := first.Save(t.Context(), state.Write{Token: r1.Token, Seq: 2, Snapshot: []byte("stale")}); !errors.Is(err, actors.ErrFenced) {
		t.Error(err)
	}
	u.lose = 1
	if _, _, err := s.Open(t.Context(), "a"); !errors.Is(err, errLost) {
		t.Error(err)
	}
	_, r, err := s.Open(t.Context(), "a")
	must(err)
	if r.Token != r2.Token+2 || string(bytes.Join(r.Changes, nil)) != "123" {
		t.Errorf("%+v", r)
	}
}

// A key that somebody has deleted is a new one. Its owner saves no more: what it had saved is gone.
func TestDeleted(t *testing.T) {
	b, end := startBucket(t, t.TempDir(), jetstream.KeyValueConfig{Bucket: "STATE"})
	defer end()
	s := store(t, b)
	o, r, err := s.Open(t.Context(), "a")
	if err == nil {
		err = o.Save(t.Context(), state.Write{Token: r.Token, Seq: 1, Snapshot: []byte("s")})
	}
	if err == nil {
		err = b.kv.Delete(t.Context(), "a")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Save(t.Context(), state.Write{Token: r.Token, Seq: 2, Snapshot: []byte("s")}); err == nil || !strings.Contains(err.Error(), "the store has lost what was saved") {
		t.Error(err)
	}
	if _, r, err = s.Open(t.Context(), "a"); err != nil || r.Snapshot != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

// A value that does not fit, and one that is none of ours, are errors.
func TestBadValues(t *testing.T) {
	b, end := startBucket(t, t.TempDir(), jetstream.KeyValueConfig{Bucket: "STATE"})
	defer end()
	s := store(t, b)
	o, r, err := s.Open(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Save(t.Context(), state.Write{Token: r.Token, Seq: 1, Snapshot: make([]byte, 2<<20)}); !errors.Is(err, state.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := b.kv.Put(t.Context(), "foreign", []byte("text")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Open(t.Context(), "foreign"); err == nil || !strings.Contains(err.Error(), "no record") {
		t.Error(err)
	}
}

func TestNewRefusesATTL(t *testing.T) {
	b, end := startBucket(t, t.TempDir(), jetstream.KeyValueConfig{Bucket: "STATE", TTL: time.Hour})
	defer end()
	if _, err := natskv.New(t.Context(), b, "STATE"); err == nil || !strings.Contains(err.Error(), "expire") {
		t.Error(err)
	}
}

// BenchmarkSave is a save of an owner, and one that is started, beside a bare write at a revision.
func BenchmarkSave(b *testing.B) {
	bk, end := startBucket(b, b.TempDir(), jetstream.KeyValueConfig{Bucket: "STATE"})
	defer end()
	value := make([]byte, 200)
	b.Run("bare", func(b *testing.B) {
		revision, err := bk.kv.Put(b.Context(), "bare", value)
		for b.Loop() && err == nil {
			revision, err = bk.kv.Update(b.Context(), "bare", value, revision)
		}
		if err != nil {
			b.Fatal(err)
		}
	})
	for name, s := range map[string]state.Store{"owner": store(b, bk), "started": statetest.Starting{Store: store(b, bk)}} {
		b.Run(name, func(b *testing.B) {
			o, r, err := s.Open(b.Context(), name)
			for seq := uint64(1); b.Loop() && err == nil; seq++ {
				err = o.Save(b.Context(), state.Write{Token: r.Token, Seq: seq, Snapshot: value})
			}
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
