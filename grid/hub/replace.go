// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// A hub whose disk is lost begins anew in two ways. To etcd it is another member: see package embedded. To JetStream it is the same server,
// which has forgotten what it has acknowledged and for whom it has voted. As long as it is away, whatever is acknowledged is on
// all that are needed for a majority without it; what was acknowledged before may be on fewer. So it first looks whether these have all, which is
// their business as soon as one of them leads (checkReplicas). From then on nobody can be elected who has less, whomever it votes for.

// storeDir is the folder of etcd.
func (h *Hub) storeDir() string { return filepath.Join(h.o.Dir, "store") }

// replacing is a file that is there from before a replacement changes anything until it is complete.
func (h *Hub) replacing() string { return filepath.Join(h.o.Dir, "replacing") }

// prepareFolder has the folder of a hub that replaces one be empty.
func (h *Hub) prepareFolder(ctx context.Context) error {
	h.replaces = false
	_, err := os.Stat(h.replacing())
	begun := err == nil
	switch {
	case begun && !h.o.Replace:
		return errors.New("its replacement has begun and is not complete: start it with Replace, which is hub -replace")
	case !h.o.Replace:
		return nil
	case !begun && h.hasFiles():
		h.log.Info("hub: the folder has files, so nothing is replaced", "dir", h.o.Dir)
		return nil
	}
	if err := h.checkOthers(ctx); err != nil {
		return fmt.Errorf("it cannot be replaced now, and nothing has changed: %w", err)
	}
	f, err := os.Create(h.replacing())
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), os.RemoveAll(h.natsDir()), os.RemoveAll(filepath.Join(h.storeDir(), "etcd")))
	}
	h.replaces = err == nil
	return err
}

// hasFiles reports whether one of the servers has written something.
func (h *Hub) hasFiles() bool {
	for _, dir := range []string{h.natsDir(), filepath.Join(h.storeDir(), "etcd")} {
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			return true
		}
	}
	return false
}

// noteReplaced: the hub is complete, and from now on started as any other.
func (h *Hub) noteReplaced() error {
	if !h.replaces {
		return nil
	}
	return os.Remove(h.replacing())
}

// checkOthers waits until the other hubs have all that was acknowledged. It asks them as a server of theirs that stores nothing.
func (h *Hub) checkOthers(ctx context.Context) error {
	n := &natsServer{log: &natsLog{l: h.log}}
	auth := h.newAuth()
	o, err := h.natsOptions(auth)
	if err != nil {
		return err
	}
	o.ServerName = h.o.Name + "=new"                 // which is no name of a hub
	o.Host, o.Port = "127.0.0.1", server.RANDOM_PORT // not where nodes look for a hub
	if n.s, err = server.NewServer(o); err != nil {
		return fmt.Errorf("NATS: %w", err)
	}
	defer n.shutdown()
	auth.system = n.s.SystemAccount
	n.s.SetLoggerV2(n.log, false, false, false)
	n.s.Start()
	if n.system, err = n.connect(ctx, auth, systemUser); err != nil {
		return err
	}
	for {
		var alive bool
		alive, err = h.askOthers(ctx, n.system)
		if err == nil || alive {
			return err
		}
		h.log.Warn("hub: it waits for the others before it is replaced", "error", err)
		if fatal := n.log.fatalError(); fatal != nil {
			return fmt.Errorf("NATS: %w", fatal)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(askEvery / 4):
		}
	}
}

// askEvery is how long it waits for the answers of the other hubs.
const askEvery = 2 * time.Second

// heardLately is much more than the time between two answers of a hub that runs to the one that leads it, which asks it each second. NATS
// calls it off line much later.
const heardLately = 5 * time.Second

// askOthers asks the other hubs for their part in JetStream. alive: the hub itself has answered.
func (h *Hub) askOthers(ctx context.Context, nc *nats.Conn) (alive bool, err error) {
	within, cancel := context.WithTimeout(ctx, askEvery)
	defer cancel()
	answers := make(chan *nats.Msg, 64)
	inbox := nc.NewInbox()
	sub, err := nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return false, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	question, err := json.Marshal(server.JSzOptions{Accounts: true, Streams: true, Consumer: true})
	if err == nil {
		err = nc.PublishRequest("$SYS.REQ.SERVER.PING.JSZ", inbox, question)
	}
	if err != nil {
		return false, err
	}
	parts := map[string]*server.JSInfo{}
	for len(parts) < len(h.o.Hubs)-1 && within.Err() == nil {
		select {
		case m := <-answers:
			var a server.ServerAPIJszResponse
			if err := json.Unmarshal(m.Data, &a); err != nil || a.Server == nil || a.Data == nil {
				continue
			}
			if a.Server.Name == h.o.Name {
				return true, fmt.Errorf("%s runs, at %s", h.o.Name, a.Server.Host)
			}
			if _, is := h.o.Hubs[a.Server.Name]; is && !a.Data.Disabled {
				parts[a.Server.Name] = a.Data
			}
		case <-within.Done():
		}
	}
	return false, h.checkReplicas(parts)
}

// checkReplicas fails unless for all that is replicated there is one that leads, and enough for a majority have what that has.
func (h *Hub) checkReplicas(parts map[string]*server.JSInfo) error {
	need := len(h.o.Hubs)/2 + 1
	if len(parts) < need {
		return fmt.Errorf("of the other hubs %d have answered with what they store, and it takes %d: %v", len(parts), need, slices.Sorted(maps.Keys(parts)))
	}
	heard := false
	led := map[string]bool{} // by what it is: whether the one that leads it has answered, and others have what it has
	check := func(what, leader, by string, replicas []*server.PeerInfo) {
		if len(replicas) == 0 { // it is at one hub alone
			return
		}
		have := 1
		for _, r := range replicas {
			heard = heard || leader == by && r.Name == h.o.Name && r.Active > 0 && r.Active < heardLately
			if r.Name != h.o.Name && r.Current && r.Lag == 0 {
				have++
			}
		}
		led[what] = led[what] || leader == by && have >= need
	}
	for by, part := range parts {
		if m := part.Meta; m != nil {
			check("the list of streams", m.Leader, by, m.Replicas)
		}
		for _, account := range part.AccountDetails {
			for _, s := range account.Streams {
				if s.Cluster != nil {
					check("the stream "+s.Name, s.Cluster.Leader, by, s.Cluster.Replicas)
				}
				for _, c := range s.Consumer {
					if c.Cluster != nil {
						check("the consumer "+c.Name+" of "+s.Name, c.Cluster.Leader, by, c.Cluster.Replicas)
					}
				}
			}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(led)) {
		if !led[what] {
			return fmt.Errorf("the other hubs do not all have %s yet, or nobody leads it", what)
		}
	}
	if heard {
		return fmt.Errorf("the other hubs hear of %s: does it run elsewhere?", h.o.Name)
	}
	if _, is := led["the list of streams"]; !is {
		return errors.New("the other hubs have no list of streams")
	}
	return nil
}
