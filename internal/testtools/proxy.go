// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy passes TCP connections on to an address while it is not cut.
type Proxy struct {
	Addr string // where it listens

	t     testing.TB
	to    string
	mu    sync.Mutex
	l     net.Listener
	conns map[net.Conn]bool
	all   sync.WaitGroup
}

// StartProxy starts a proxy on a free port of the loopback. It ends with the test.
func StartProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	p := &Proxy{Addr: "127.0.0.1:0", t: t, to: to, conns: map[net.Conn]bool{}}
	p.Mend()
	t.Cleanup(func() {
		p.Cut()
		p.all.Wait()
	})
	return p
}

// Mend takes connections again after a Cut, at the same address.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, err := net.Listen("tcp", p.Addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.l, p.Addr = l, l.Addr().String()
	p.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.pass(l, c) })
		}
	})
}

// pass connects c to the other side, unless l has been closed meanwhile.
func (p *Proxy) pass(l net.Listener, c net.Conn) {
	s, err := net.DialTimeout("tcp", p.to, 5*time.Second)
	if err != nil {
		c.Close()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.l != l {
		c.Close()
		s.Close()
		return
	}
	p.conns[c], p.conns[s] = true, true
	for _, pair := range [][2]net.Conn{{c, s}, {s, c}} {
		p.all.Go(func() {
			_, _ = io.Copy(pair[0], pair[1]) // until one of them is closed
			p.mu.Lock()
			defer p.mu.Unlock()
			for _, one := range pair {
				one.Close()
				delete(p.conns, one)
			}
		})
	}
}

// Cut closes all connections, and takes no new ones.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.l != nil {
		p.l.Close()
	}
	p.l = nil
	for c := range p.conns {
		c.Close()
	}
}
