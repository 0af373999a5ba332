// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/jetstream"
	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
)

const (
	parts  = 16  // of the queue
	groups = 200 // whose order is kept
)

// work is a message of the queue: the number N of its group, from 0.
type work struct {
	Group, N int
}

// handled is one run of the handler.
type handled struct {
	work
	Node, Part   string
	Stored       time.Duration // the message, in the queue
	Begun, Ended time.Duration
}

func (s settings) openQueue(c *hubclient.Client) (*jetstream.Partitions, error) {
	nc, err := c.Queues()
	if err != nil {
		return nil, err
	}
	return jetstream.NewPartitions(nc, jetstream.Options{Name: queue}, s.Parts)
}

// partKinds has a worker for each part of the queue.
func (s settings) partKinds(c *hubclient.Client) ([]grid.Kind, error) {
	q, err := s.openQueue(c)
	if err != nil {
		return nil, err
	}
	j, err := openJournal(s.Dir, fmt.Sprintf("handled-%s-%d", c.Node(), s.Incarnation))
	if err != nil {
		return nil, err
	}
	begun, err := openJournal(s.Dir, fmt.Sprintf("begun-%s-%d", c.Node(), s.Incarnation))
	if err != nil {
		return nil, err
	}
	return []grid.Kind{{Name: kindPart, Always: q.Parts(), Setup: func(w *actors.Worker, part string) error {
		if err := begun.write(beginning{Node: c.Node(), Part: part, At: now()}); err != nil {
			return err
		}
		token, err := grid.TokenOf(w.Task())
		if err != nil {
			return err
		}
		handle := func(t *actors.Task, m consumer.Message) error {
			h := handled{Node: c.Node(), Part: part, Stored: now() - time.Since(m.SentAt), Begun: now()}
			if err := json.Unmarshal(m.Body, &h.work); err != nil {
				return consumer.Poison(err)
			}
			if err := t.Sleep(time.Millisecond); err != nil {
				return err
			}
			h.Ended = now()
			return j.write(h)
		}
		consumes, err := consumer.New(q.Opener(part, token.Rev), handle, consumer.Options{Order: consumer.ByGroup})
		if err != nil {
			return err
		}
		return consumes.Setup(w)
	}}}, nil
}

// fillQueue sends that many messages, those of a group one after the other.
func (c *client) fillQueue(count int) error {
	q, err := jetstream.NewPartitions(c.nc, jetstream.Options{Name: queue}, c.Parts)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make([]error, groups)
	for g := range groups {
		all.Go(func() {
			for n := 0; n*groups+g < count; n++ {
				b, err := json.Marshal(work{g, n})
				if err != nil {
					errs[g] = err
					return
				}
				m := consumer.Message{Key: fmt.Sprintf("%d-%d", g, n), Group: fmt.Sprint(g), Body: b}
				for {
					ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
					err := q.Send(ctx, m) // it is stored once, by its key
					cancel()
					if err == nil {
						break
					}
					c.logger().Warn("send", "key", m.Key, "error", err)
					time.Sleep(100 * time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// left is how many messages the queue has.
func (c *client) left(ctx context.Context) (uint64, error) {
	s, err := c.js.Stream(ctx, queue)
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.Msgs, nil
}

// checkHandled says which of count messages were not handled, and which were begun before all that were sent before them in
// their group were handled.
func checkHandled(all []handled, count int) (wrong []string) {
	byGroup := map[int][]handled{}
	for _, h := range all {
		byGroup[h.Group] = append(byGroup[h.Group], h)
	}
	for g := range groups {
		var ended []time.Duration // of each number, the first time
		for n := 0; n*groups+g < count; n++ {
			ended = append(ended, math.MaxInt64)
		}
		for _, h := range byGroup[g] {
			if h.N >= len(ended) {
				wrong = append(wrong, fmt.Sprintf("group %d: number %d was handled, and never sent", g, h.N))
				continue
			}
			ended[h.N] = min(ended[h.N], h.Ended)
		}
		latest := make([]time.Duration, len(ended)) // when it and all before it were handled
		for n, at := range ended {
			if at == math.MaxInt64 {
				wrong = append(wrong, fmt.Sprintf("group %d: number %d was not handled", g, n))
			}
			if latest[n] = at; n > 0 {
				latest[n] = max(at, latest[n-1])
			}
		}
		for _, h := range byGroup[g] {
			if h.N > 0 && h.N < len(ended) && h.Begun < latest[h.N-1] {
				wrong = append(wrong, fmt.Sprintf("group %d: number %d began in %s at %v, and those before it were handled at %v", g, h.N, h.Node, h.Begun, latest[h.N-1]))
			}
		}
	}
	return wrong
}

// TestHandledCheck: the check finds what is missing, and what is out of order.
func TestHandledCheck(t *testing.T) {
	count := 2 * groups
	var all []handled
	for g := range groups {
		all = append(all, handled{work: work{g, 0}, Begun: 1, Ended: 2}, handled{work: work{g, 1}, Begun: 2, Ended: 3}, handled{work: work{g, 0}, Begun: 5, Ended: 6})
	}
	if wrong := checkHandled(all, count); len(wrong) > 0 {
		t.Errorf("of what is in order: %q", wrong[:1])
	}
	if wrong := checkHandled(all[2:], count); len(wrong) != 1 {
		t.Errorf("of a message that is missing: %q", wrong)
	}
	if wrong := checkHandled(all[1:], count); len(wrong) != 1 {
		t.Errorf("of a message that was handled after the next: %q", wrong)
	}
	if wrong := checkHandled(all, count+1); len(wrong) != 1 {
		t.Errorf("of the last that is missing: %q", wrong)
	}
	all[1].Begun = 1
	if wrong := checkHandled(all, count); len(wrong) != 1 {
		t.Errorf("of a message that began early: %q", wrong)
	}
}

// loss is what a part may stand for: a program was killed, or a node was too slow to keep its lease.
type loss struct {
	Host, How string
	At        time.Duration
}

// How something is lost.
const (
	isKilled = "killed"
	isFenced = "fenced"
)

// beginning is that of a worker of a part.
type beginning struct {
	Node, Part string
	At         time.Duration
}

// standstill is a time in which a part had messages, and none of them was handled.
type standstill struct {
	Part     string
	From, To time.Duration
	Losses   []loss // meanwhile, of hubs and of the nodes that have had the part
}

func (s standstill) lasted() time.Duration { return s.To - s.From }

// sinceLoss is how long the part has stood since the last loss that it has stood for.
func (s standstill) sinceLoss() time.Duration {
	from := s.From
	for _, l := range s.Losses {
		from = max(from, l.At)
	}
	return s.To - from
}

// mostOfQueue is for how long none may be handled at most.
const mostOfQueue = 10 * time.Second

// most is for how long a part may stand since that loss. After one of a hub the others elect who leads them, and then whoever has lost his node, too, makes
// a consumer: JetStream's elections take up to 9 s.
func (s standstill) most() time.Duration {
	if n := len(s.Losses); n > 0 && strings.HasPrefix(s.Losses[n-1].Host, "hub-") {
		return mostOfQueue + 5*time.Second
	}
	return mostOfQueue
}

func (s standstill) String() string {
	text := fmt.Sprintf("part %s for %v from %v", s.Part, s.lasted().Round(time.Millisecond), s.From.Round(time.Millisecond))
	for _, l := range s.Losses {
		text += fmt.Sprintf(", %s is %s after %v", l.Host, l.How, (l.At - s.From).Round(time.Millisecond))
	}
	return text
}

// findStandstills returns when parts have stood, the longest first. all is in the order in which it was handled.
func findStandstills(all []handled, begun []beginning, losses []loss) (found []standstill) {
	losses = slices.Clone(losses)
	slices.SortFunc(losses, func(a, b loss) int { return cmp.Compare(a.At, b.At) })
	byPart := map[string][]handled{}
	for _, h := range all {
		byPart[h.Part] = append(byPart[h.Part], h)
	}
	for part, of := range byPart {
		is := map[work]bool{} // handled before, while we go
		again := make([]bool, len(of))
		for i, h := range of {
			again[i] = is[h.work]
			is[h.work] = true
		}
		oldest := time.Duration(math.MaxInt64) // when the first of those was stored that are handled from here on
		for i := len(of) - 1; i > 0; i-- {
			if !again[i] {
				oldest = min(oldest, of[i].Stored)
			}
			before, after := of[i-1], of[i]
			s := standstill{Part: part, From: max(before.Ended, oldest), To: after.Ended}
			if s.lasted() < leastStandstill {
				continue
			}
			meanwhile := func(at time.Duration) bool { return at >= before.Ended && at < after.Ended }
			had := map[string]bool{before.Node: true, after.Node: true}
			for _, b := range begun {
				if b.Part == part && meanwhile(b.At) {
					had[b.Node] = true
				}
			}
			for _, l := range losses {
				if meanwhile(l.At) && (had[l.Host] || strings.HasPrefix(l.Host, "hub-")) {
					s.Losses = append(s.Losses, l)
				}
			}
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b standstill) int { return cmp.Compare(b.lasted(), a.lasted()) })
	return found
}

// leastStandstill is what is shorter than that is none.
const leastStandstill = time.Second

// TestStandstills: a part stands as long as it has something to handle, and each loss is told.
func TestStandstills(t *testing.T) {
	one := func(n int, part, node string, stored, ended time.Duration) handled {
		return handled{work: work{0, n}, Node: node, Part: part, Stored: stored * time.Second, Ended: ended * time.Second}
	}
	lost := func(host, how string, at time.Duration) loss { return loss{host, how, at * time.Second} }
	all := []handled{
		one(0, "a", "node-1", 0, 1), one(0, "b", "node-2", 0, 2), one(1, "b", "node-2", 7, 12), // nothing was there to be handled before 7
		one(0, "a", "node-3", 0, 11), one(2, "a", "node-3", 12, 13), one(1, "a", "node-3", 3, 13), // the last is older than the one before
	}
	begun := []beginning{{"node-4", "a", 5 * time.Second}, {"node-5", "b", 5 * time.Second}}
	found := findStandstills(all, begun, []loss{
		lost("hub-1", isKilled, 6), lost("node-1", isKilled, 0), lost("node-1", isKilled, 4), lost("node-2", isKilled, 5), lost("node-4", isFenced, 7), lost("node-5", isKilled, 20),
	})
	want := []standstill{
		{"a", 3 * time.Second, 11 * time.Second, []loss{lost("node-1", isKilled, 4), lost("hub-1", isKilled, 6), lost("node-4", isFenced, 7)}},
		{"b", 7 * time.Second, 12 * time.Second, []loss{lost("node-2", isKilled, 5), lost("hub-1", isKilled, 6)}},
		{"a", 11 * time.Second, 13 * time.Second, nil},
	}
	if fmt.Sprint(found) != fmt.Sprint(want) {
		t.Errorf("found %v, want %v", found, want)
	}
	if s := want[0]; s.lasted() != 8*time.Second || s.sinceLoss() != 4*time.Second {
		t.Errorf("it has stood for %v, and since a loss for %v", s.lasted(), s.sinceLoss())
	}
}

// TestQueue: messages in a queue of the hubs whose order by group is kept, consumed by five nodes, while nodes are killed and one
// hub is, the one that leads the queue in half of all runs. None is lost, and none begins before those before it in its group were handled.
//
// The log says for how long none was handled, and which parts have stood. With PROTOLOOP_TEST_FULL=1 there are 100,000 messages instead of 20,000, and
// none may be handled for 10 s at most. No part may stand for longer than that since the last loss that it stands for, or 15 s since that of a hub: when its owner is
// killed while it takes the part over, the next one begins anew.
func TestQueue(t *testing.T) {
	if testing.Short() {
		t.Skip("eleven processes and 20,000 messages are much for a slow machine")
	}
	count := 20_000
	if full() {
		count = 100_000
	}
	c := newCluster(t, true)
	filled := make(chan error, 1)
	go func() { filled <- c.client(1).request(command{Do: doFill, Count: count}, nil) }()
	rng := rand.New(rand.NewPCG(c.seed, 3000))

	// The hub is killed when so much of the queue was handled.
	killAt := int(float64(count) * (0.2 + 0.5*rng.Float64()))
	victim := c.hubs[rng.IntN(len(c.hubs))]
	ofLeader := rng.IntN(2) == 0
	isFilled, hubKilled := false, false
	var losses []loss
	progress := 0
	nextKill := time.Now().Add(upTo(rng, 4))
	var left uint64 = math.MaxUint64
	for !isFilled || left > 0 || !hubKilled {
		select {
		case err := <-filled:
			if err != nil {
				t.Fatal(err)
			}
			isFilled = true
			c.note("all messages are sent")
		case <-time.After(100 * time.Millisecond):
		}
		if err := c.client(0).request(command{Do: doLeft}, &left); err != nil {
			left = math.MaxUint64
			c.note("%v", err)
		}
		if !hubKilled && c.countLines("handled-*") >= killAt {
			hubKilled = true
			var l leaders
			if err := c.client(0).request(command{Do: doLeaders}, &l); err == nil && ofLeader && c.programs[l.NATS] != nil {
				victim = l.NATS
			}
			c.note("%s is killed, of %+v", victim, l)
			losses = append(losses, loss{victim, isKilled, now()})
			c.programs[victim].kill()
			d := upTo(rng, 10)
			heal := make(chan error, 1)
			go func() { heal <- after(d, c.programs[victim].run)() }()
			defer func() {
				if err := <-heal; err != nil {
					t.Error(err)
				}
			}()
		}
		// On a slow machine the next one waits until those before are overcome.
		if handled := c.countLines("handled-*"); time.Now().After(nextKill) && handled >= progress {
			progress = handled + count/100
			g := c.programs[c.nodes[rng.IntN(len(c.nodes))]]
			c.note("%s is killed", g.host)
			losses = append(losses, loss{g.host, isKilled, now()})
			g.kill()
			if err := g.run(); err != nil {
				t.Fatal(err)
			}
			nextKill = time.Now().Add(2*time.Second + upTo(rng, 4))
		}
	}
	all, err := readJournals[handled](c.dir, "handled-*")
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b handled) int { return cmp.Compare(a.Ended, b.Ended) })
	var stall time.Duration
	for i := 1; i < len(all); i++ {
		stall = max(stall, all[i].Ended-all[i-1].Ended)
	}
	begun, err := readJournals[beginning](c.dir, "begun-*")
	if err != nil {
		t.Fatal(err)
	}
	fenced, err := readJournals[loss](c.dir, "fenced-*")
	if err != nil {
		t.Fatal(err)
	}
	stood := findStandstills(all, begun, append(losses, fenced...))
	t.Logf("%d messages were handled %d times in %v, while nodes were killed %d times, and %s once, and %d had not kept their leases. None was handled for %v at most",
		count, len(all), all[len(all)-1].Ended-all[0].Begun, len(losses)-1, victim, len(fenced), stall)
	const shown = 5
	for i, s := range stood {
		if i < shown {
			t.Logf("none was handled of %v", s)
		}
		if full() && s.sinceLoss() > s.most() {
			t.Errorf("none was handled of %v: that is %v since the last loss", s, s.sinceLoss())
		}
	}
	if full() && stall > mostOfQueue {
		t.Errorf("none was handled for %v", stall)
	}
	wrong := checkHandled(all, count)
	for _, w := range wrong[:min(len(wrong), 20)] {
		t.Error(w)
	}
	if len(wrong) > 0 {
		t.Errorf("%d are wrong", len(wrong))
	}
	for _, w := range c.checkPrograms() {
		t.Error(w)
	}
}
