// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestNetwork: what is cut is lost, and nothing else.
func TestNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs root")
	}
	needNetworks(t)
	hosts := []string{"host-a", "host-b", "host-c"}
	n, l := newNetwork(t, hosts...), newLauncher(t)
	const first, second = 9, 19 // ports
	sockets := map[int]map[string]*net.UDPConn{first: {}, second: {}}
	for port, of := range sockets {
		for _, host := range hosts {
			err := l.in(n.namespace(host), func() (err error) {
				of[host], err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(n.addr(host)), Port: port})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			defer of[host].Close()
		}
	}
	send := func(port int, from, to, what string) {
		t.Helper()
		if _, err := sockets[port][from].WriteToUDP([]byte(what), &net.UDPAddr{IP: net.ParseIP(n.addr(to)), Port: port}); err != nil {
			t.Errorf("%s to %s: %v", from, to, err)
		}
	}
	// Datagrams of two hosts do not overtake each other here, so none has to be waited for that does not come.
	comes := func(port int, from, to, what string) {
		t.Helper()
		b := make([]byte, 100)
		_ = sockets[port][to].SetReadDeadline(time.Now().Add(time.Minute))
		size, addr, err := sockets[port][to].ReadFromUDP(b)
		if err != nil || string(b[:size]) != what || !strings.HasPrefix(addr.String(), n.addr(from)+":") {
			t.Fatalf("%s has got %q of %v, %v, and not %q of %s", to, b[:size], addr, err, what, from)
		}
	}
	allAt := func(port int, when string, lost func(from, to string) bool) {
		t.Helper()
		for _, from := range hosts {
			for _, to := range hosts {
				if from == to {
					continue
				}
				if send(port, from, to, when); !lost(from, to) {
					comes(port, from, to, when)
				}
			}
		}
	}
	all := func(when string, lost func(from, to string) bool) {
		t.Helper()
		allAt(first, when, lost)
		allAt(second, when, lost)
	}
	nothing := func(string, string) bool { return false }
	all("before", nothing)
	n.cut("host-a", "host-b")
	all("one way", func(from, to string) bool { return from == "host-a" && to == "host-b" })
	n.heal("host-a", "host-b")
	all("healed", nothing)
	n.unplug("host-c")
	all("unplugged", func(from, to string) bool { return from == "host-c" || to == "host-c" })
	n.plug("host-c")
	all("plugged", nothing)
	n.cutPort("host-a", "host-b", second)
	allAt(first, "at another port", nothing)
	// Each sends from the port that it sends to, so both ways are cut both ways.
	allAt(second, "at a port", func(from, to string) bool { return from != "host-c" && to != "host-c" })
	n.healPort("host-a", "host-b", second)
	all("at all ports", nothing)
}

// TestCutPort: a connection to a port that is cut stands still, both ways, and goes on afterwards. One to another port does not.
func TestCutPort(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs root")
	}
	needNetworks(t)
	n, l := newNetwork(t, "host-a", "host-b"), newLauncher(t)
	connect := func(port int) (a, b *net.TCPConn) {
		t.Helper()
		at := &net.TCPAddr{IP: net.ParseIP(n.addr("host-b")), Port: port}
		var listener *net.TCPListener
		err := l.in(n.namespace("host-b"), func() (err error) { listener, err = net.ListenTCP("tcp4", at); return err })
		if err == nil {
			err = l.in(n.namespace("host-a"), func() (err error) { a, err = net.DialTCP("tcp4", nil, at); return err })
		}
		if err == nil {
			b, err = listener.AcceptTCP()
			listener.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close(); b.Close() })
		return a, b
	}
	cutA, cutB := connect(9)
	otherA, otherB := connect(19)
	pass := func(from, to *net.TCPConn) {
		t.Helper()
		got := make([]byte, 1)
		_ = to.SetReadDeadline(time.Now().Add(5 * time.Minute))
		if _, err := from.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(to, got); err != nil {
			t.Error(err)
		}
	}
	waits := func(c *net.TCPConn) (bytes int) {
		raw, err := c.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { bytes, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
		}
		if err != nil {
			t.Error(err)
		}
		return bytes
	}
	pass(cutA, cutB)
	n.cutPort("host-a", "host-b", 9)
	for _, way := range [][4]*net.TCPConn{{cutA, cutB, otherA, otherB}, {cutB, cutA, otherB, otherA}} {
		if _, err := way[0].Write([]byte("y")); err != nil {
			t.Error(err)
		}
		pass(way[2], way[3]) // it has not overtaken what was sent before
		if got := waits(way[1]); got != 0 {
			t.Errorf("%d bytes have come", got)
		}
	}
	n.healPort("host-a", "host-b", 9)
	for _, c := range []*net.TCPConn{cutA, cutB} {
		got := make([]byte, 1)
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Minute))
		if _, err := io.ReadFull(c, got); err != nil || got[0] != 'y' {
			t.Errorf("afterwards %q has come, %v", got, err)
		}
	}
}

// TestSweep: what a process has left that is there no more is removed, and what others have is not.
func TestSweep(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs root")
	}
	needNetworks(t)
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	left := fmt.Sprintf("%s%d-", prefix, dead.Process.Pid)
	n := newNetwork(t, "host")
	n.ip("netns", "add", left+"x")
	dir := t.TempDir()
	if err := unix.Mount(left+"disk", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	l := newLauncher(t)
	cmd := exec.Command("sleep", "1000000")
	if err := l.in(left+"x", cmd.Start); err != nil {
		t.Fatal(err)
	}
	sweep(t)
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process in the namespace: %v", err)
	}
	if _, err := os.Stat(filepath.Join(namespaces, left+"x")); !os.IsNotExist(err) {
		t.Errorf("the namespace is there: %v", err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), left) {
		t.Error("the folder is still mounted")
	}
	if _, err := os.Stat(filepath.Join(namespaces, n.namespace("host"))); err != nil {
		t.Errorf("a namespace of this process: %v", err)
	}
}

// TestFill: a full disk has no room for a byte.
func TestFill(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs root")
	}
	needNetworks(t)
	dir := filepath.Join(t.TempDir(), "disk")
	mountSmall(t, dir, 5)
	filler := filepath.Join(dir, "filler")
	if err := fill(filler); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "more"), []byte("x"), 0o600); err == nil {
		t.Error("there is room")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "more"), []byte("x"), 0o600); err != nil {
		t.Error(err)
	}
}
