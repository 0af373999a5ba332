// SPDX-License-Identifier: Apache-2.0

//go:build unix

package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/grid/etcd/embedded"
)

// loseFiles takes the files of a server that was killed.
func (c *cluster) loseFiles(p *process) {
	c.Helper()
	if err := errors.Join(os.RemoveAll(p.o.Dir), os.Mkdir(p.o.Dir, 0o700)); err != nil {
		c.Fatal(err)
	}
}

// replace starts a server whose files are lost.
func (c *cluster) replace(p *process) {
	c.Helper()
	p.o.Replace = true
	c.start(p)
	p.Ready()
	p.o.Replace = false
}

// members are the servers with a vote, by their addresses.
func (c *cluster) members() map[string]uint64 {
	c.Helper()
	client := c.connect()
	all := map[string]uint64{}
	eventually(c.T, "there are members", func(ctx context.Context) error {
		list, err := client.MemberList(ctx)
		if err != nil {
			return err
		}
		clear(all)
		for _, m := range list.Members {
			if m.IsLearner {
				return fmt.Errorf("%s has no vote", m.Name)
			}
			all[m.PeerURLs[0]] = m.ID
		}
		return nil
	})
	return all
}

// refuses has a start fail for a reason, or for one of them.
func refuses(t *testing.T, o embedded.Options, why ...string) error {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	srv, err := embedded.Start(o)
	switch {
	case err == nil:
		srv.Shutdown()
		t.Fatalf("it has started, and not failed by %q", why)
	case !slices.ContainsFunc(why, func(part string) bool { return strings.Contains(err.Error(), part) }):
		t.Errorf("it fails by %v, and not by %q", err, why)
	}
	return err
}

// TestFilesAreLost: a server whose files are lost does not begin anew by itself. With Replace it does, as another member, while the others
// go on; and then one of those can be lost.
func TestFilesAreLost(t *testing.T) {
	c := startCluster(t)
	goOn, stop, _ := c.traffic()
	first, second, third := c.processes[0], c.processes[1], c.processes[2]
	before := c.members()
	lose := func(p *process) {
		t.Helper()
		p.Kill()
		c.loseFiles(p)
		goOn("without " + p.o.Name)
		if err := refuses(t, p.o.Options, "files are lost"); !errors.Is(err, embedded.ErrFilesLost) {
			t.Error(err)
		}
	}
	kill := func(p *process) {
		t.Helper()
		p.Kill()
		goOn("with " + p.o.Name + " killed")
		c.start(p)
		p.Ready()
	}
	lose(first)
	c.replace(first)
	goOn("with server-0 replaced")
	after := c.members()
	if len(after) != 3 || maps.Equal(before, after) {
		t.Errorf("the members were %v, and are %v", before, after)
	}
	kill(second) // what the new one has counts
	kill(first)  // and it starts as any other
	kill(third)
	lose(first) // one that nobody knows by the number of the beginning
	c.replace(first)
	lose(second)
	c.replace(second)
	kill(first)
	kill(third)
	if last := c.members(); len(last) != 3 || last["http://"+third.o.Servers[third.o.Name]] != before["http://"+third.o.Servers[third.o.Name]] {
		t.Errorf("the members were %v, and are %v", before, last)
	}
	stop()
}

// TestReplaceAgain: what has ended half-way is done again from its beginning.
func TestReplaceAgain(t *testing.T) {
	c := startCluster(t)
	p := c.processes[0]
	client := c.connect()
	self := "http://" + p.o.Servers[p.o.Name]
	remove := func() {
		t.Helper()
		id := c.members()[self]
		p.Kill()
		c.loseFiles(p)
		eventually(t, "it is removed", func(ctx context.Context) error { _, err := client.MemberRemove(ctx, id); return err })
	}
	remove()
	refuses(t, p.o.Options, "files are lost")
	c.replace(p)
	c.members()
	remove()
	eventually(t, "it is added", func(ctx context.Context) error { _, err := client.MemberAddAsLearner(ctx, []string{self}); return err })
	refuses(t, p.o.Options, "files are lost")
	c.replace(p)
	if all := c.members(); len(all) != 3 {
		t.Error(all)
	}
	// One that is killed at any moment of it.
	for range 3 {
		p.Kill()
		c.loseFiles(p)
		p.o.Replace = true
		c.start(p)
		for entries := 0; entries == 0; {
			found, _ := os.ReadDir(filepath.Join(p.o.Dir, "etcd", "member", "wal"))
			entries = len(found)
		}
		p.Kill()
		c.loseFiles(p)
		c.replace(p)
		if all := c.members(); len(all) != 3 {
			t.Error(all)
		}
	}
}

// TestReplaceIsRefused: nothing changes if it cannot be, or must not be.
func TestReplaceIsRefused(t *testing.T) {
	c := startCluster(t)
	before := c.members()
	first := c.processes[0]
	empty := first.o.Options
	empty.Replace, empty.Dir = true, t.TempDir()
	refuses(t, empty, "does it run already")
	first.Kill()
	has := empty
	has.Dir = first.o.Dir
	refuses(t, has, "it has files")
	moved := empty
	moved.Servers = maps.Clone(empty.Servers)
	moved.Servers[moved.Name] = strings.Replace(moved.Servers[moved.Name], ":2380", ":2381", 1)
	refuses(t, moved, "its address stays")
	c.processes[1].Kill()
	empty.StartWithin = 5 * time.Second
	refuses(t, empty, "no majority", "no other server answers")
	c.start(first)
	c.start(c.processes[1])
	first.Ready()
	c.processes[1].Ready()
	if after := c.members(); !maps.Equal(before, after) {
		t.Errorf("the members were %v, and are %v", before, after)
	}
	alone := embedded.Options{Dir: t.TempDir(), Replace: true}
	if _, err := embedded.Start(alone); err == nil {
		t.Error("one that is alone takes its own place")
	} else if mistake := (*actors.OptionError)(nil); !errors.As(err, &mistake) || mistake.Field != "Options.Replace" {
		t.Error(err)
	}
}
