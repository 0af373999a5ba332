// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/protoloop/protoloop/consumer/jetstream"
)

// TestTakeOverWithoutALeader: a part is taken over although nobody answers at first, as when nobody leads the servers or the former consumer.
func TestTakeOverWithoutALeader(t *testing.T) {
	way, nc, _ := connectLossy(t)
	p := newPartitions(t, nc, 4)
	if err := p.Send(t.Context(), numberedMessages("a", 0, 1)...); err != nil {
		t.Fatal(err)
	}
	openPart(t, p, "a", 1)
	way.lose(nameConsumers, 2)
	way.lose(deleted, 1)
	if got := bodiesOf(receiveAll(t, openPart(t, p, "a", 2), 1)); got != "0" {
		t.Errorf("received %s", got)
	}
	if asked, told := way.count(nameConsumers), way.count(deleted); asked < 3 || told != 1 {
		t.Errorf("the consumers were asked for %d times, and %d were said to be deleted", asked, told)
	}
}

// TestTakeOverWithoutTheStreamsLeader: who has seen that the streams are as they have to be needs nobody who leads them to take a part over.
func TestTakeOverWithoutTheStreamsLeader(t *testing.T) {
	way, nc, _ := connectLossy(t)
	p := newPartitions(t, nc, 4)
	if err := p.Send(t.Context(), numberedMessages("a", 0, 1)...); err != nil {
		t.Fatal(err)
	}
	openPart(t, p, "b", 1)
	way.lose(tellOfStream, math.MaxInt)
	if got := bodiesOf(receiveAll(t, openPart(t, p, "a", 1), 1)); got != "0" {
		t.Errorf("received %s", got)
	}
}

// TestTakeOverOfADeletedStream: a stream that is deleted is made anew.
func TestTakeOverOfADeletedStream(t *testing.T) {
	_, nc, _ := connectLossy(t)
	p := newPartitions(t, nc, 4)
	openPart(t, p, "a", 1)
	js, err := natsjs.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "ITEMS"); err != nil {
		t.Fatal(err)
	}
	src := openPart(t, p, "a", 1)
	if err := p.Send(t.Context(), numberedMessages("a", 0, 1)...); err != nil {
		t.Fatal(err)
	}
	if got := bodiesOf(receiveAll(t, src, 1)); got != "0" {
		t.Errorf("received %s", got)
	}
}

// TestTakeOverIsNotRepeated: a consumer that was made too slowly is used, and not made again.
func TestTakeOverIsNotRepeated(t *testing.T) {
	way, nc, _ := connectLossy(t)
	p := newPartitions(t, nc, 4)
	if err := p.Send(t.Context(), numberedMessages("a", 0, 1)...); err != nil {
		t.Fatal(err)
	}
	way.watch(makeConsumer)
	way.lose(consumerIsMade, 1)
	if got := bodiesOf(receiveAll(t, openPart(t, p, "a", 1), 1)); got != "0" {
		t.Errorf("received %s", got)
	}
	if n := way.count(makeConsumer); n != 1 {
		t.Errorf("%d consumers were made", n)
	}
}

// TestTakeOverUsesWhatIsMadeLate: a consumer that is made only when the next one is asked for, which then is refused, is used.
func TestTakeOverUsesWhatIsMadeLate(t *testing.T) {
	way, nc, sound := connectLossy(t)
	p := newPartitions(t, nc, 4)
	if err := p.Send(t.Context(), numberedMessages("a", 0, 1)...); err != nil {
		t.Fatal(err)
	}
	js, err := natsjs.New(sound)
	if err != nil {
		t.Fatal(err)
	}
	way.lose(makeConsumer, 1)
	var late string
	way.interceptWord(makeConsumer, func(n int, subject string) {
		tokens := strings.SplitN(subject, ".", 5) // CONSUMER.CREATE.ITEMS.name.subject
		switch n {
		case 1:
			late = tokens[3]
		case 2:
			cfg := natsjs.ConsumerConfig{Durable: late, AckPolicy: natsjs.AckExplicitPolicy, FilterSubject: tokens[4]}
			if _, err := js.CreateConsumer(t.Context(), "ITEMS", cfg); err != nil {
				t.Error(err)
			}
		}
	})
	if got := bodiesOf(receiveAll(t, openPart(t, p, "a", 1), 1)); got != "0" {
		t.Errorf("received %s", got)
	}
	if n := way.count(makeConsumer); n != 2 {
		t.Errorf("%d consumers were asked for", n)
	}
	if _, err := js.Consumer(t.Context(), "ITEMS", late); err != nil {
		t.Errorf("the one that was made late: %v", err)
	}
}

// TestTakeOverLeavesWhatItDeletes: a consumer that was to be deleted is not used, as the servers may do that yet.
func TestTakeOverLeavesWhatItDeletes(t *testing.T) {
	way, nc, sound := connectLossy(t)
	p := newPartitions(t, nc, 4)
	if err := p.Send(t.Context(), numberedMessages("a", 0, 1)...); err != nil {
		t.Fatal(err)
	}
	js, err := natsjs.New(sound)
	if err != nil {
		t.Fatal(err)
	}
	way.lose(consumerIsMade, 1)
	way.lose(tellOfConsumer, 1)
	way.lose(deleteConsumer, 1) // that is under way
	var first string
	way.interceptWord(deleteConsumer, func(n int, subject string) {
		if n == 1 {
			first = strings.TrimPrefix(subject, deleteConsumer+".ITEMS.")
		}
	})
	src := openPart(t, p, "a", 1)
	if err := js.DeleteConsumer(t.Context(), "ITEMS", first); err != nil && !errors.Is(err, natsjs.ErrConsumerNotFound) {
		t.Fatal(err)
	}
	if got := bodiesOf(receiveAll(t, src, 1)); got != "0" {
		t.Errorf("received %s", got)
	}
}

// TestTakeOverWithoutAFitConsumer: who could not make a consumer for its Options does not end the source of another one.
func TestTakeOverWithoutAFitConsumer(t *testing.T) {
	nc := connectEmbedded(t, t.TempDir())
	p := newPartitions(t, nc, 4)
	src := openPart(t, p, "a", 1)
	unfit, err := jetstream.NewPartitions(nc, jetstream.Options{Name: "ITEMS", Consumer: func(cfg *natsjs.ConsumerConfig) { cfg.MaxDeliver = 3 }}, 4)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unfit.Opener(p.PartOf("a"), 2)(t.Context()); err == nil || !strings.Contains(err.Error(), "jetstream: Options.Consumer: its MaxDeliver") {
		t.Errorf("it is opened: %v", err)
	}
	if err := p.Send(t.Context(), numberedMessages("a", 0, 1)...); err != nil {
		t.Fatal(err)
	}
	if got := bodiesOf(receiveAll(t, src, 1)); got != "0" {
		t.Errorf("received %s", got)
	}
}
