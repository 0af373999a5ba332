// SPDX-License-Identifier: Apache-2.0

package pgstate_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/grid/state"
	"github.com/protoloop/protoloop/grid/state/pgstate"
	"github.com/protoloop/protoloop/grid/state/statetest"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// server is a PostgreSQL server of its own, which listens on a socket in its folder alone.
type server struct {
	testing.TB
	dir, bin string
	as       *syscall.SysProcAttr
	cmd      *exec.Cmd
	ended    chan struct{}
	log      bytes.Buffer
}

// startServer starts one, or skips the test if PostgreSQL is not installed.
func startServer(t testing.TB) *server {
	t.Helper()
	s := &server{TB: t}
	if path, err := exec.LookPath("initdb"); err == nil {
		path, err = filepath.EvalSymlinks(path)
		if err != nil {
			t.Fatal(err)
		}
		s.bin = filepath.Dir(path)
	} else if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 { // Debian's
		s.bin = filepath.Dir(found[len(found)-1])
	} else {
		testtools.Lacking(t, "PostgreSQL", "postgres-tools")
	}
	dir, err := os.MkdirTemp("", "pg") // short: the socket's path has a limit of a hundred bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s.dir = dir
	if os.Getuid() == 0 { // the server refuses to be root
		u, err := user.Lookup("postgres")
		if err != nil {
			testtools.Lacking(t, "the user postgres", "postgres-tools")
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	initdb := s.command("initdb", "-D", filepath.Join(dir, "data"), "-U", "test", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.start()
	t.Cleanup(func() { s.stop(syscall.SIGINT) })
	return s
}

func (s *server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = s.dir, s.as
	return cmd
}

// start returns when the server takes connections.
func (s *server) start() {
	s.Helper()
	s.cmd = s.command("postgres", "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-c", "listen_addresses=")
	s.log.Reset()
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	ended := make(chan struct{})
	s.ended = ended
	go func() { _ = s.cmd.Wait(); close(ended) }()
	for {
		pool := s.pool()
		err := pool.Ping(s.Context())
		pool.Close()
		if err == nil {
			return
		}
		select {
		case <-ended:
			s.Fatalf("the server has ended:\n%s", s.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *server) stop(how syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(how) // it may have ended
	<-s.ended
	s.cmd = nil
}

func (s *server) pool() *pgxpool.Pool {
	s.Helper()
	pool, err := pgxpool.New(s.Context(), "host="+s.dir+" user=test dbname=postgres")
	if err != nil {
		s.Fatal(err)
	}
	return pool
}

// store is a table that was created by many at a time.
func (s *server) store(pool *pgxpool.Pool, table string) *pgstate.Store {
	s.Helper()
	store, err := pgstate.New(pool, table)
	if err != nil {
		s.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := store.Create(s.Context()); err != nil {
				s.Error(err)
			}
		})
	}
	all.Wait()
	return store
}

func TestStore(t *testing.T) {
	s := startServer(t)
	pool := s.pool()
	defer pool.Close()
	statetest.Run(t, s.store(pool, "state"))
}

// What was acknowledged is there when the server was killed and started anew, and the owner goes on. Meanwhile
// the store says that it is down, and fences nobody.
func TestServerIsKilled(t *testing.T) {
	s := startServer(t)
	pool := s.pool()
	defer pool.Close()
	store := s.store(pool, "state")
	o, r, err := store.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 3; seq++ {
		if err := o.Save(t.Context(), state.Write{Token: r.Token, Seq: seq, Changes: [][]byte{[]byte(strconv.FormatUint(seq, 10))}}); err != nil {
			t.Fatal(err)
		}
		s.stop(syscall.SIGQUIT) // at once, without a checkpoint
		if err := o.Save(t.Context(), state.Write{Token: r.Token, Seq: seq + 1, Snapshot: []byte("down")}); err == nil || errors.Is(err, actors.ErrFenced) {
			t.Errorf("a save while it is down: %v", err)
		}
		if _, _, err := store.Open(t.Context(), "a"); err == nil {
			t.Error("it is down, and has opened a key")
		}
		s.start()
		pool.Reset()
	}
	_, r, err = store.Open(t.Context(), "a")
	if err != nil || string(bytes.Join(r.Changes, nil)) != "123" || r.Snapshot != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

// A row that somebody has deleted is a new key, and its owner is fenced.
func TestDeleted(t *testing.T) {
	s := startServer(t)
	pool := s.pool()
	defer pool.Close()
	store := s.store(pool, "other")
	o, r, err := store.Open(t.Context(), "a")
	if err == nil {
		_, err = pool.Exec(t.Context(), "DELETE FROM other")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Save(t.Context(), state.Write{Token: r.Token, Seq: 1, Snapshot: []byte("s")}); !errors.Is(err, actors.ErrFenced) || !strings.Contains(err.Error(), "lost") {
		t.Error(err)
	}
}

func TestNewRefusesATable(t *testing.T) {
	for _, table := range []string{"", "State", "a b", `a"; DROP TABLE x; --`, "1a", strings.Repeat("a", 50)} {
		if _, err := pgstate.New(nil, table); err == nil {
			t.Errorf("%q", table)
		}
	}
}
