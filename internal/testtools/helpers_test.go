// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"
)

func TestTrace(t *testing.T) {
	var tr Trace
	tr.Add("b %d", 1)
	tr.Add("a")
	tr.Sort()
	tr.Want(t, "a", "b 1")
	tr.Want(t) // it has forgotten them
	tr.Add("c")
	RunFake(func(f *FakeTB) { tr.Want(f, "d") }).WantFailure(t, `got ["c"], want ["d"]`)
	tr.Add("e")
	if got := tr.Take(); !slices.Equal(got, []string{"e"}) {
		t.Errorf("took %q", got)
	}
}

func TestWantPanic(t *testing.T) {
	WantPanic(t, func() { panic("one two") }, "one", "two")
	WantText(t, errors.New("three"), "ree")
	RunFake(func(f *FakeTB) { WantPanic(f, func() {}, "one") }).WantFailure(t, "no error and no panic")
	RunFake(func(f *FakeTB) { WantPanic(f, func() { panic("one") }, "one", "two") }).WantFailure(t, `it says "one"`)
	RunFake(func(f *FakeTB) { WantText(f, nil, "one") }).WantFailure(t, "no error")
}

func TestProxy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	p := StartProxy(t, l.Addr().String())
	echo := func() net.Conn {
		c, err := net.Dial("tcp", p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	addr, c := p.Addr, echo()
	p.Cut()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a connection has outlived the cut")
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("there is a connection after the cut")
	}
	p.Mend()
	if echo(); p.Addr != addr {
		t.Errorf("it listens at %s now, and did at %s", p.Addr, addr)
	}
}
