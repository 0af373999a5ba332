// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/protoloop/protoloop/internal/testtools"
)

// prefix begins the names of all namespaces, with the number of the process that has made them behind. A process that was killed
// leaves them to the next one: see sweep.
const prefix = "plfaults-"

// bridge is the switch.
const bridge = "bridge0"

const namespaces = "/run/netns"

// nowhere is the hardware address of nobody. What is sent to it is lost without a word to whoever sends.
const nowhere = "02:00:00:00:00:01"

// In each host, lostTable has the route of what is to be lost for its port: by a gateway whose hardware address is nobody's.
const (
	lostTable   = "100"
	lostGateway = "10.0.0.253"
)

// network is hosts at one switch. Each is a network namespace, and so is the switch: nothing is to be seen of them elsewhere.
//
// Hosts do not look for each other's hardware addresses. They are told them, and a cut tells wrong ones.
type network struct {
	*testing.T
	hosts map[string]int // the last byte of its address
}

// needNetworks skips a test where namespaces cannot be made.
func needNetworks(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		testtools.Lacking(t, "ip(8), of Debian's package iproute2,", "network-tools")
	}
	if os.Geteuid() != 0 {
		testtools.Unable(t, "only root makes network namespaces")
	}
	name := fmt.Sprintf("%s%d-try", prefix, os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		testtools.Unable(t, fmt.Sprintf("network namespaces cannot be made here: %v: %s", err, out))
	}
	if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
		t.Fatalf("ip netns del: %v: %s", err, out)
	}
}

// newNetwork makes a network of hosts.
func newNetwork(t *testing.T, hosts ...string) *network {
	t.Helper()
	sweep(t)
	n := &network{T: t, hosts: map[string]int{}}
	t.Cleanup(n.remove)
	for i, host := range hosts {
		n.hosts[host] = i + 1
	}
	sw := n.namespace("switch")
	n.ip("netns", "add", sw)
	n.ip("-n", sw, "link", "add", "name", bridge, "type", "bridge", "forward_delay", "0", "stp_state", "0")
	n.ip("-n", sw, "link", "set", bridge, "up")
	for _, host := range hosts {
		ns := n.namespace(host)
		n.ip("netns", "add", ns)
		n.ip("link", "add", host, "netns", sw, "type", "veth", "peer", "name", "eth0", "netns", ns)
		n.ip("-n", sw, "link", "set", host, "master", bridge, "up")
		n.ip("-n", ns, "link", "set", "eth0", "address", n.hardware(host))
		n.ip("-n", ns, "addr", "add", n.addr(host)+"/24", "dev", "eth0")
		n.ip("-n", ns, "link", "set", "lo", "up")
		n.ip("-n", ns, "link", "set", "eth0", "up")
		n.ip("-n", ns, "neigh", "replace", lostGateway, "lladdr", nowhere, "dev", "eth0", "nud", "permanent")
		n.ip("-n", ns, "route", "add", "default", "via", lostGateway, "dev", "eth0", "onlink", "table", lostTable)
	}
	for _, from := range hosts {
		for _, to := range hosts {
			if from != to {
				n.heal(from, to)
			}
		}
	}
	if n.Failed() {
		n.FailNow()
	}
	return n
}

func (n *network) namespace(host string) string {
	return fmt.Sprintf("%s%d-%s", prefix, os.Getpid(), host)
}

// addr is the address of a host.
func (n *network) addr(host string) string { return fmt.Sprint("10.0.0.", n.hosts[host]) }

func (n *network) hardware(host string) string {
	return fmt.Sprintf("02:00:00:00:01:%02x", n.hosts[host])
}

func (n *network) ip(args ...string) {
	n.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// cut has everything lost that one host sends to another. The other way stays.
func (n *network) cut(from, to string) { n.neighbour(from, to, nowhere) }

// heal ends a cut.
func (n *network) heal(from, to string) { n.neighbour(from, to, n.hardware(to)) }

func (n *network) neighbour(from, to, hardware string) {
	n.Helper()
	n.ip("-n", n.namespace(from), "neigh", "replace", n.addr(to), "lladdr", hardware, "dev", "eth0", "nud", "permanent")
}

// cutPort has everything lost that a host and a server send each other at a port of the server's. What goes to other ports stays.
func (n *network) cutPort(host, server string, port int) { n.portRules("add", host, server, port) }

// healPort ends a cutPort.
func (n *network) healPort(host, server string, port int) { n.portRules("del", host, server, port) }

func (n *network) portRules(do, host, server string, port int) {
	n.Helper()
	is := strconv.Itoa(port)
	n.ip("-n", n.namespace(host), "rule", do, "to", n.addr(server), "dport", is, "lookup", lostTable)
	n.ip("-n", n.namespace(server), "rule", do, "to", n.addr(host), "sport", is, "lookup", lostTable)
}

// unplug takes a host from the switch: all that it sends and is sent is lost.
func (n *network) unplug(host string) {
	n.Helper()
	n.ip("-n", n.namespace("switch"), "link", "set", host, "nomaster")
}

// plug ends an unplug.
func (n *network) plug(host string) {
	n.Helper()
	n.ip("-n", n.namespace("switch"), "link", "set", host, "master", bridge)
}

func (n *network) remove() {
	for host := range n.hosts {
		n.ip("netns", "del", n.namespace(host))
	}
	n.ip("netns", "del", n.namespace("switch"))
}

// launcher starts processes in the namespaces, all on one thread: a process is killed by the kernel when the thread ends that has started
// it, and so with the test, however that ends.
type launcher struct {
	do    chan func()
	ended chan struct{}
}

func newLauncher(t *testing.T) *launcher {
	l := &launcher{do: make(chan func()), ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		runtime.LockOSThread() // and never unlock it: it may be in any namespace
		for f := range l.do {
			f()
		}
	}()
	t.Cleanup(func() {
		close(l.do)
		<-l.ended
	})
	return l
}

// in calls a function in a namespace, where it may make a process or a socket.
func (l *launcher) in(namespace string, do func() error) error {
	result := make(chan error)
	l.do <- func() { result <- callIn(namespace, do) }
	return <-result
}

func callIn(namespace string, do func() error) error {
	ns, err := os.Open(filepath.Join(namespaces, namespace))
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the namespace %s: %w", namespace, err)
	}
	return do()
}

// sweep removes what processes have left that were killed: their processes, namespaces and mounted folders.
func sweep(t *testing.T) {
	t.Helper()
	all, err := os.ReadDir(namespaces)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, entry := range all {
		if !leftBehind(entry.Name()) {
			continue
		}
		t.Logf("removing the namespace %s of a test that was killed", entry.Name())
		pids, err := exec.Command("ip", "netns", "pids", entry.Name()).Output()
		if err != nil {
			t.Logf("ip netns pids: %v", err)
		}
		for pid := range strings.FieldsSeq(string(pids)) {
			if n, err := strconv.Atoi(pid); err == nil && n > 1 && n != os.Getpid() {
				_ = unix.Kill(n, unix.SIGKILL) // it may have ended
			}
		}
		if out, err := exec.Command("ip", "netns", "del", entry.Name()).CombinedOutput(); err != nil {
			t.Logf("ip netns del: %v: %s", err, out) // another test may sweep, too
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !leftBehind(fields[0]) {
			continue
		}
		t.Logf("unmounting %s of a test that was killed", fields[1])
		if err := unix.Unmount(fields[1], unix.MNT_DETACH); err != nil {
			t.Logf("unmount %s: %v", fields[1], err)
		}
	}
}

// leftBehind reports whether a name is that of a process which is there no more.
func leftBehind(name string) bool {
	rest, is := strings.CutPrefix(name, prefix)
	number, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(number)
	return is && err == nil && pid > 1 && errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}

// mountSmall mounts a file system in memory of that size at a folder.
func mountSmall(t *testing.T, dir string, megabytes int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	source := fmt.Sprintf("%s%d-disk", prefix, os.Getpid())
	if err := unix.Mount(source, dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Fatalf("mount %s: %v", dir, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// fill writes a file until the file system that it is on is full.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		switch _, err := f.Write(block); {
		case errors.Is(err, unix.ENOSPC):
			block = block[:len(block)/2] // the last bytes, too
		case err != nil:
			return err
		}
	}
	return nil
}
