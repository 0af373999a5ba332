// SPDX-License-Identifier: Apache-2.0

package natskv_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/actors"
	protojs "github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/natskv"
	"github.com/protoloop/protoloop/internal/testtools"
)

// startServer starts a server that listens to clients.
func startServer(t *testing.T, change func(o *server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true}
	if change != nil {
		change(o)
	}
	srv, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(time.Minute) {
		t.Fatal("the server is not ready")
	}
	return srv
}

// connect connects to it, with patience for a slow machine.
func connect(t *testing.T, srv *server.Server, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := protojs.Connect(srv.ClientURL(), append([]nats.Option{nats.Timeout(time.Minute), nats.PingInterval(time.Hour)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// bucketOf makes the bucket.
func bucketOf(t *testing.T, js jetstream.JetStream) bucket {
	t.Helper()
	kv, err := js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "STATE"})
	if err != nil {
		t.Fatal(err)
	}
	return bucket{js, kv}
}

func clientOf(t *testing.T, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func openStarter(t *testing.T, s *natskv.Store, key string) (state.Starter, state.Record) {
	t.Helper()
	o, r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return o.(state.Starter), r
}

// saveSlowly is a save with patience for a slow machine.
func saveSlowly(t *testing.T, o state.Owner, w state.Write) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // else the client's own, of seconds
	defer cancel()
	if err := o.Save(ctx, w); err != nil {
		t.Error(err)
	}
}

// wantUnknown: a started save ends by itself, and says that it does not know.
func wantUnknown(t *testing.T, f *actors.Future[actors.None]) {
	t.Helper()
	if _, err := f.Wait(t.Context()); err == nil || errors.Is(err, actors.ErrFenced) || t.Context().Err() != nil {
		t.Errorf("the save has ended with %v", err)
	}
}

func wantChanges(t *testing.T, s *natskv.Store, key string, n int) {
	t.Helper()
	if _, r := openStarter(t, s, key); len(r.Changes) != n {
		t.Errorf("%s has %d changes, want %d", key, len(r.Changes), n)
	}
	if n := s.CountPending(); n != 0 {
		t.Errorf("%d saves are pending", n)
	}
}

// TestServerDoesNotGreet: a save begins, and a state learns how large it may be, while the client makes a connection, which a server takes
// that says nothing. The client has its lock meanwhile, and who asks is a worker's turn.
func TestServerDoesNotGreet(t *testing.T) {
	srv := startServer(t, nil)
	silent := testtools.NewSilentServer(t)
	nc, err := protojs.Connect(srv.ClientURL()+",nats://"+silent.Addr, nats.DontRandomize(), nats.Timeout(5*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	s := store(t, bucketOf(t, clientOf(t, nc)))
	o, r := openStarter(t, s, "key")
	srv.Shutdown()
	first := silent.Taken()
	began := make(chan *actors.Future[actors.None])
	go func() {
		if got, payload := o.(state.Limited).MaxSize(), 1<<20; got < payload/2 || got > payload {
			t.Errorf("a value may have %d bytes, by a max_payload of %d", got, payload)
		}
		began <- o.Start(state.Write{Token: r.Token, Seq: 1, Snapshot: []byte("x")})
	}()
	f, waited := (*actors.Future[actors.None])(nil), false
	select {
	case f = <-began:
	case <-time.After(time.Minute):
		t.Error("a save that is started waits until the server is given up")
		waited = true
	}
	first.Close()
	silent.Close()
	if waited {
		f = <-began
	}
	wantUnknown(t, f)
}

// TestManyStartAtATime: started saves of many keys are on their way together, and hold no goroutine. Those that nobody answers end by
// themselves, and an answer that comes after that is none.
func TestManyStartAtATime(t *testing.T) {
	srv := startServer(t, nil)
	g := gate{closed: new(atomic.Pointer[chan struct{}])}
	b, other := bucketOf(t, clientOf(t, connect(t, srv, nats.SetCustomDialer(g)))), clientOf(t, connect(t, srv))
	s := store(t, b)
	const n = 500
	owners, tokens := make([]state.Starter, n), make([]uint64, n)
	for i := range owners {
		var r state.Record
		owners[i], r = openStarter(t, s, fmt.Sprint(i))
		tokens[i] = r.Token
	}
	stored := func() uint64 {
		t.Helper()
		stream, err := other.Stream(t.Context(), "KV_STATE")
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().State.LastSeq
	}
	before, goroutines := stored(), runtime.NumGoroutine()
	closed := make(chan struct{})
	g.closed.Store(&closed)
	write := func(i int) state.Write {
		return state.Write{Token: tokens[i], Seq: 1, Changes: [][]byte{[]byte("x")}}
	}
	started := make([]*actors.Future[actors.None], n)
	for i, o := range owners {
		started[i] = o.Start(write(i))
	}
	if got := runtime.NumGoroutine(); got > goroutines+n/10 {
		t.Errorf("%d saves hold %d goroutines", n, got-goroutines)
	}
	for stored() < before+n {
		select {
		case <-t.Context().Done():
			t.Fatalf("%d of %d saves are stored while none is answered", stored()-before, n)
		case <-time.After(time.Millisecond):
		}
	}
	for _, f := range started {
		wantUnknown(t, f)
	}
	close(closed)
	for i, o := range owners {
		saveSlowly(t, o, write(i))
	}
	if got := stored() - before; got != n {
		t.Errorf("%d saves took %d writes", n, got)
	}
	wantChanges(t, s, "0", 1)
}

// TestStartedIsLost: what was sent to a server that is lost ends by itself. So does what is sent while there is none, and
// when the connection has been closed.
func TestStartedIsLost(t *testing.T) {
	srv := startServer(t, nil)
	l := leaky{swallow: new(atomic.Int64)}
	nc := connect(t, srv, nats.SetCustomDialer(l), nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0))
	s := store(t, bucketOf(t, clientOf(t, nc)))
	o, r := openStarter(t, s, "a")
	w := state.Write{Token: r.Token, Seq: 1, Changes: [][]byte{[]byte("1")}}
	l.swallow.Store(1)
	wantUnknown(t, o.Start(w))
	saveUntil(t, o, w)
	wantChanges(t, s, "a", 1)
	o, r = openStarter(t, s, "a")
	nc.Close()
	wantUnknown(t, o.Start(state.Write{Token: r.Token, Seq: 1, Changes: [][]byte{[]byte("2")}}))
	if n := s.CountPending(); n != 0 {
		t.Errorf("%d saves are pending", n)
	}
}

// TestStartedWithoutAServer: saves that are started while the server is away end by themselves. Those that go to it when it is back
// all the same have no effect beside the saves that were made in their place.
func TestStartedWithoutAServer(t *testing.T) {
	dir := t.TempDir()
	srv := startServer(t, func(o *server.Options) { o.StoreDir = dir })
	nc := connect(t, srv, nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0))
	s := store(t, bucketOf(t, clientOf(t, nc)))
	o, r := openStarter(t, s, "a")
	addr := srv.Addr().(*net.TCPAddr)
	srv.Shutdown()
	srv.WaitForShutdown()
	w := state.Write{Token: r.Token, Seq: 1, Changes: [][]byte{[]byte("1")}}
	for range 3 {
		wantUnknown(t, o.Start(w))
	}
	startServer(t, func(o *server.Options) { o.StoreDir = dir; o.Host, o.Port = addr.IP.String(), addr.Port })
	saveUntil(t, o, w)
	saveUntil(t, o, state.Write{Token: r.Token, Seq: 2, Changes: [][]byte{[]byte("2")}})
	wantChanges(t, s, "a", 2)
}

// saveUntil makes a save that fails until there is a connection.
func saveUntil(t *testing.T, o state.Owner, w state.Write) {
	t.Helper()
	for err := o.Save(t.Context(), w); err != nil; err = o.Save(t.Context(), w) {
		if errors.Is(err, actors.ErrFenced) || t.Context().Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestStartedWhereKeysAre: clients of a domain, or by another prefix of the API, have other subjects for keys.
func TestStartedWhereKeysAre(t *testing.T) {
	srv := startServer(t, func(o *server.Options) { o.JetStreamDomain = "far" })
	nc := connect(t, srv)
	of := func(js jetstream.JetStream, err error) jetstream.JetStream {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	for i, js := range []jetstream.JetStream{
		of(jetstream.New(nc)), of(jetstream.NewWithDomain(nc, "far")), of(jetstream.NewWithAPIPrefix(nc, "$JS.far.API")), of(jetstream.NewWithAPIPrefix(nc, "$JS.far.API.")),
		of(jetstream.NewWithAPIPrefix(nc, "$JS.API")),
	} {
		kv, err := js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "STATE"})
		if err != nil {
			t.Fatal(i, err)
		}
		o, r := openStarter(t, store(t, bucket{js, kv}), "a")
		seq := uint64(1)
		for ; seq < 100; seq++ { // on a slow machine the first is not answered in time
			w := state.Write{Token: r.Token, Seq: seq, Snapshot: []byte("s")}
			if _, err := o.Start(w).Wait(t.Context()); err == nil {
				break
			}
			saveSlowly(t, o, w)
		}
		if seq == 100 {
			t.Errorf("client %d: no save that was started is known", i)
		}
	}
}

// TestMirror: writes to a mirror go elsewhere. They are not started.
func TestMirror(t *testing.T) {
	js := clientOf(t, connect(t, startServer(t, nil)))
	of := bucketOf(t, js)
	mirror, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "MIRROR", Mirror: &jetstream.StreamSource{Name: "STATE"}})
	if err != nil {
		t.Fatal(err)
	}
	o, r, err := store(t, bucket{js, mirror}).Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, is := o.(state.Starter); is {
		t.Error("an owner in a mirror starts saves")
	}
	saveSlowly(t, o, state.Write{Token: r.Token, Seq: 1, Changes: [][]byte{[]byte("c")}})
	wantChanges(t, store(t, of), "a", 1)
}

func TestReadAck(t *testing.T) {
	read := natskv.NewReadAck()
	for _, a := range []struct {
		ack  string
		want uint64
	}{
		{`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 7"},"stream":"KV_STATE","seq":0}`, 0},
		{``, 0}, {`{}`, 0}, {`{"seq":5}`, 0}, {`{"stream":"KV_STATE"}`, 0},
		{`{"stream":"KV_STATE", "seq":41}`, 41},
		{`{"stream":"KV_STATE", "seq":42}`, 42},
		{`{"stream":"KV_STATE", "seq":43,"duplicate":true}`, 43},
		{`{"stream":"KV_STATE", "seq":4x}`, 0},
		{`{"stream":"KV_STATE", "seq":}`, 0},
		{`{"stream":"KV_STATE", "seq":44`, 0},
		{`{"stream":"KV_STATE","domain":"far","seq":45}`, 45},
		{`{"stream":"KV_STATE","domain":"far","seq":46}`, 46},
		{`{"error":{"code":400,"err_code":10071},"stream":"KV_STATE","seq":47}`, 0},
		{`{"stream":"KV_STATE", "seq":18446744073709551615}`, 1<<64 - 1},
		{`{"stream":"KV_STATE", "seq":18446744073709551616}`, 0},
	} {
		if got := read([]byte(a.ack)); got != a.want {
			t.Errorf("%s: %d, want %d", a.ack, got, a.want)
		}
	}
}

func BenchmarkReadAck(b *testing.B) {
	ack := []byte(`{"stream":"KV_STATE", "seq":123456}`)
	b.Run("json", func(b *testing.B) {
		for b.Loop() {
			var a jetstream.PubAck
			if err := json.Unmarshal(ack, &a); err != nil || a.Sequence != 123456 {
				b.Fatal(a, err)
			}
		}
	})
	b.Run("alike", func(b *testing.B) {
		for read := natskv.NewReadAck(); b.Loop(); {
			if read(ack) != 123456 {
				b.Fatal()
			}
		}
	})
}
