// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/view"
)

// clientOf asks a console at a socket.
func clientOf(t testing.TB, socket string) *http.Client {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func get(t testing.TB, c *http.Client, url string, into any) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", url, resp.Status, err, b)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v: %s", url, err, b)
	}
}

// TestUnixSocket: the default is a socket that nobody else can reach, found by the id of the process,
// and gone when the worker is.
func TestUnixSocket(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	sys := actortest.NewSystem(t)
	c := newConsoleOf(t, sys, Options{})
	pid := actortest.Spawn(t, sys.Root, "console", c.Setup, actors.Options{})
	path := filepath.Join(dir, "protoloop", strconv.Itoa(os.Getpid())+".sock")
	for name, want := range map[string]fs.FileMode{filepath.Dir(path): 0o700 | fs.ModeDir, path: 0o600 | fs.ModeSocket} {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s: %v, want %v", name, info.Mode(), want)
		}
	}
	var a struct{ View view.About }
	get(t, clientOf(t, path), "http://localhost/api/about", &a)
	if a.View.PID != os.Getpid() {
		t.Errorf("it says %+v", a.View)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the socket: %v, %v", left, err)
	}

	second := newConsoleOf(t, sys, Options{})
	actortest.Spawn(t, sys.Root, "second", second.Setup, actors.Options{})
	get(t, clientOf(t, filepath.Join(filepath.Dir(path), fmt.Sprintf("%d-2.sock", os.Getpid()))), "http://localhost/api/about", &a)

	if _, err := actors.Stop(context.Background(), sys.Root, pid, actors.Forever); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is still there")
	}
}

// TestStaleSockets: what a process that was killed has left is removed, and nothing else.
func TestStaleSockets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "protoloop")
	t.Setenv("XDG_RUNTIME_DIR", filepath.Dir(dir))
	if err := os.Mkdir(dir, 0o755); err != nil { // too much for us
		t.Fatal(err)
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	leave := func(name string, listens bool) {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, name), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		if listens {
			t.Cleanup(func() { l.Close() })
		} else {
			l.Close()
		}
	}
	dead := strconv.Itoa(gone.Process.Pid)
	leave(dead+".sock", false)
	leave(dead+"-2.sock", false)
	leave("1.sock", false)                          // that process runs, and may be about to listen
	leave(strconv.Itoa(os.Getpid())+".sock", false) // a former process with our id
	leave(dead+"-3.sock", true)                     // somebody in another container, which has ids of its own
	if err := os.WriteFile(filepath.Join(dir, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := ownSocket()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, strconv.Itoa(os.Getpid())+".sock"); path != want {
		t.Errorf("ours is %s, want %s", path, want)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	if got, want := strings.Join(names, " "), "1.sock "+dead+"-3.sock notes"; got != want {
		t.Errorf("left are %q, want %q", got, want)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
}

// TestCannotListen: the setup fails, and says why.
func TestCannotListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	used := filepath.Join(dir, "used.sock")
	l, err := net.Listen("unix", used)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		taken.Addr().String():     "address already in use",
		"unix:" + used:            "somebody listens there",
		"unix:" + file:            "no socket",
		"unix:" + dir + "/none/x": "no such file",
		"unix:" + dir + "/" + strings.Repeat("x", 100) + "/" + strings.Repeat("x", 10): "no such file",
	} {
		c := newConsole(t, Options{Addr: addr})
		if _, _, err := c.listen(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", addr, err, want)
		}
	}
	if err := makePrivate(link); err == nil || !strings.Contains(err.Error(), "is no folder") {
		t.Errorf("a link where the folder is to be: %v", err)
	}
}

// TestTCP: a console on loopback needs no token, and says where it is.
func TestTCP(t *testing.T) {
	sys := actortest.NewSystem(t)
	c := newConsoleOf(t, sys, Options{Addr: "127.0.0.1:0"})
	actortest.Spawn(t, sys.Root, "console", c.Setup, actors.Options{})
	var a struct{ View view.About }
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	get(t, client, c.URL()+"api/about", &a)
	if a.View.PID != os.Getpid() {
		t.Errorf("it says %+v", a.View)
	}
}

// TestAddressOfAll: the address that stands for all of a machine's is no name that a browser could ask for.
func TestAddressOfAll(t *testing.T) {
	for _, hosts := range [][]string{nil, {"Shop.example", "other.example"}, {"[2001:db8::1]:80"}} {
		sys := actortest.NewSystem(t)
		c := newConsoleOf(t, sys, Options{Addr: ":0", Hosts: hosts})
		actortest.Spawn(t, sys.Root, "console", c.Setup, actors.Options{})
		u, err := url.Parse(c.URL())
		if err != nil || u.Port() == "" || !c.knowsHost(u.Host) {
			t.Errorf("%v: it is at %s, which it does not know, %v", hosts, c.URL(), err)
		}
	}
}

// TestAnswersWhenBlocked: each worker is blocked, that of the console too.
func TestAnswersWhenBlocked(t *testing.T) {
	sys := actortest.NewSystem(t)
	c := newConsoleOf(t, sys, Options{Addr: "127.0.0.1:0"})
	hold := make(chan struct{})
	block := func(w *actors.Worker) error {
		w.Background("block", func(*actors.Task) error { <-hold; return nil })
		return nil
	}
	actortest.Spawn(t, sys.Root, "console", func(w *actors.Worker) error {
		if err := c.Setup(w); err != nil {
			return err
		}
		return block(w)
	}, actors.Options{})
	for i := range 20 {
		actortest.Spawn(t, sys.Root, fmt.Sprint("w", i), block, actors.Options{})
	}
	defer close(hold)
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	actortest.Eventually(t, "all are seen as blocked", func() bool {
		var a struct{ View view.Overview }
		get(t, client, c.URL()+"api/overview", &a)
		return a.View.Totals.Blocked == 21
	})
}
