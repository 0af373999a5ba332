// SPDX-License-Identifier: Apache-2.0

package nats

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// TestOutboxTakesAllAtOnce: what is written to a peer that does not read is taken without a wait, and comes in order when it reads,
// whatever part of it the system had taken.
func TestOutboxTakesAllAtOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	o := newOutbox(dialed, 1, time.Minute)
	defer o.Close()
	var want []byte
	write := func(size int) {
		t.Helper()
		p := bytes.Repeat([]byte{byte(len(want))}, size)
		want = append(want, p...)
		if n, err := o.Write(p); n != size || err != nil {
			t.Fatal(n, err)
		}
		clear(p) // it is the writer's again
	}
	write(100)
	if o.size.Load() != 0 {
		t.Errorf("%d bytes wait that the system takes", o.size.Load())
	}
	for len(want) < 32<<20 { // more than the buffers of both sides have
		write(1 + rand.IntN(100_000))
	}
	if o.size.Load() == 0 {
		t.Error("nothing waits for a peer that does not read")
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(peer, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("what came is not what was written, in that order")
	}
	_ = dialed.Close()
	for err == nil { // the first waits, and the goroutine that writes it finds that the connection is closed
		_, err = o.Write([]byte("x"))
	}
}
