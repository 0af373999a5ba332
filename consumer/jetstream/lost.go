// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"cmp"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The connection is the caller's, and so are its handlers. Its status is told to any
// number of channels.

// watchConnection sees to what a connection that was lost leaves behind, until the
// last connection is closed, or the publisher is.
func (p *Publisher) watchConnection() {
	for range p.conns {
		if p.nc.IsClosed() { // not only if that is what was told: the channel takes ten
			p.endAll()
			return
		}
		p.afterLoss()
	}
}

// connection is which connection there is or was last, from 1 on, and whether it is lost.
func (p *Publisher) connection() (number uint32, lost bool) {
	number = uint32(p.nc.Stats().Reconnects) + 1
	return number, p.nc.IsReconnecting() // later: else one that is there by now could pass for the lost one
}

// markSent says of messages that are about to be sent which connection they go by.
func (p *Publisher) markSent(batch []*publication) {
	number, lost := p.connection()
	if lost {
		number++ // the client may keep them for that one
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range batch {
		one.msg.Reply = p.subjectOf(one)
		one.sent, one.conn = true, number
	}
}

// afterLoss sees to what was sent by a connection that is lost. What the server can tell from
// a double is sent again as soon as there is a connection; whose messages it cannot
// tell is told so.
func (p *Publisher) afterLoss() {
	number, lost := p.connection() // without mu: the client is locked while it connects
	var again, unknown []*publication
	p.mu.Lock()
	for _, one := range p.open {
		switch {
		case !one.sent, one.conn > number, one.conn == number && !lost:
		case one.msg.Header.Get(jetstream.MsgIDHeader) == "":
			p.closeHeld(one)
			unknown = append(unknown, one)
		case !lost:
			again = append(again, one)
		}
	}
	slices.SortFunc(again, func(a, b *publication) int { return cmp.Compare(a.order, b.order) })
	for _, one := range again {
		// The former confirmation may still come, by another server of the cluster, and must not confirm what
		// comes later: so it has a number of its own. And the former one may be being sent.
		msg := *one.msg
		p.last++
		second := &publication{number: p.last, order: one.order, msg: &msg, began: one.began, again: true, done: one.done}
		delete(p.open, one.number)
		p.open[second.number] = second
		p.sendHeld(second)
	}
	p.mu.Unlock()
	slices.SortFunc(unknown, func(a, b *publication) int { return cmp.Compare(a.order, b.order) })
	for _, one := range unknown {
		one.done(0, errLost)
	}
}

// endAll ends all that is open: nothing is confirmed any more.
func (p *Publisher) endAll() {
	var open []*publication
	p.mu.Lock()
	for _, one := range p.open {
		open = append(open, one)
		p.closeHeld(one)
	}
	p.mu.Unlock()
	for _, one := range open {
		one.done(0, nats.ErrConnectionClosed)
	}
}
