// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"fmt"
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
	sockets := map[string]*net.UDPConn{}
	for _, host := range hosts {
		err := l.in(n.namespace(host), func() (err error) {
			sockets[host], err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(n.addr(host)), Port: 9})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer sockets[host].Close()
	}
	send := func(from, to, what string) {
		t.Helper()
		if _, err := sockets[from].WriteToUDP([]byte(what), &net.UDPAddr{IP: net.ParseIP(n.addr(to)), Port: 9}); err != nil {
			t.Errorf("%s to %s: %v", from, to, err)
		}
	}
	// Datagrams of two hosts do not overtake each other here, so none has to be waited for that does not come.
	comes := func(from, to, what string) {
		t.Helper()
		b := make([]byte, 100)
		_ = sockets[to].SetReadDeadline(time.Now().Add(time.Minute))
		size, addr, err := sockets[to].ReadFromUDP(b)
		if err != nil || string(b[:size]) != what || !strings.HasPrefix(addr.String(), n.addr(from)+":") {
			t.Fatalf("%s has got %q of %v, %v, and not %q of %s", to, b[:size], addr, err, what, from)
		}
	}
	all := func(when string, lost func(from, to string) bool) {
		t.Helper()
		for _, from := range hosts {
			for _, to := range hosts {
				if from == to {
					continue
				}
				if send(from, to, when); !lost(from, to) {
					comes(from, to, when)
				}
			}
		}
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
