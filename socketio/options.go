// SPDX-License-Identifier: Apache-2.0

package socketio

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/socketio/internal/engineio"
)

// Options of a [Server]. The zero value is safe to expose: it accepts browsers
// of the same origin only, and bounds all that a client can make it hold.
//
// The names and defaults are the reference server's where it has the option.
type Options struct {
	// PingInterval is the time between a pong and the next ping. 0: 25 s.
	PingInterval time.Duration
	// PingTimeout is how long a client may take to answer a ping before its
	// session ends with [PingTimeout]; twice that if a POST of its is still being
	// read. 0: 20 s.
	PingTimeout time.Duration
	// UpgradeTimeout bounds the upgrade from polling to WebSocket. 0: 10 s.
	UpgradeTimeout time.Duration
	// ConnectTimeout is how long a client may take to connect to a namespace
	// before it is closed. 0: 45 s.
	ConnectTimeout time.Duration
	// CloseTimeout bounds what a session that the server closes still writes.
	// 0: 30 s.
	CloseTimeout time.Duration
	// HandlerGrace is how long handlers, OnConnect and middlewares may run on
	// when their client has gone, and OnDisconnect from its own start; then their
	// contexts end. 0: one minute.
	HandlerGrace time.Duration
	// StopGrace is how long [Server.RequestStop], and the end of a worker of
	// [Server.Props], let go on what was accepted before they cut off what is left.
	// 0: 5 s; [actors.NoGrace]: at once; [actors.Forever]: never.
	StopGrace actors.Grace
	// AckTimeout bounds the futures of [EmitAck], which fail with
	// [ErrAckTimeout] then. 0: they wait until the client answers or is gone.
	AckTimeout time.Duration

	// MaxPayload is the size of a message, or of the body of a POST, in bytes.
	// What is larger ends a WebSocket session, and is refused with status 413
	// by polling. 0: 1,000,000.
	MaxPayload int64
	// MaxAttachments of one packet that comes in. 0: 10.
	MaxAttachments int
	// MaxBuffered is how many bytes wait to be sent to one client before its
	// session ends with [SlowClient]. What a recovering client has missed does not
	// count. 0: 4 MiB.
	MaxBuffered int
	// MaxEvents is how many events of one session may run, or wait for its worker.
	// Sockets that have left, and have a handler running, count as well. What comes
	// at the bound is held until one has ended, as much as takes four times
	// MaxPayload of memory; acknowledgements and disconnects behind it are taken.
	// At that bound the server reads no further from the client, and if then no
	// event ends for PingTimeout the session is closed. 0: 1,000.
	MaxEvents int
	// MaxPendingAcks is how many events of [EmitAck] may wait for one socket's
	// acknowledgement; one more fails with [ErrTooManyAcks]. 0: 10,000.
	MaxPendingAcks int
	// MaxSessions at a time; a handshake more is refused with status 503.
	// 0: 100,000.
	MaxSessions int
	// MaxNamespaces that one session connects to; one more is refused. 0: 16.
	MaxNamespaces int
	// MaxRooms that one socket joins, besides its own. 0: 1,000.
	MaxRooms int
	// HandshakesPerIP is how many sessions a second may begin from one address,
	// or one /64 of IPv6, after twice as many at once; one more is refused with
	// status 429. 0: 100; negative: no bound.
	HandshakesPerIP int
	// ClientIP is the address that HandshakesPerIP counts by. Behind a reverse
	// proxy it has to come from a header that the proxy sets. nil: the host of
	// RemoteAddr.
	ClientIP func(r *http.Request) string

	// AllowedOrigins may connect besides the server's own: a host with its port, as
	// "app.example.com" or "[::1]:3000", or that behind a scheme, as
	// "https://app.example.com", where * stands for any characters. "*" is any
	// origin; "null" and "file://" are those of local files, and the first is also
	// that of a sandboxed frame on anybody's page. What no browser sends, such as
	// an origin with a slash at its end, is refused. They count for CORS and WebSocket
	// alike. Requests without an Origin are none of a browser's and are let in.
	AllowedOrigins []string
	// AllowCredentials lets those origins send cookies. Together with an origin
	// that stands for everybody's, such as "*", it is refused.
	AllowCredentials bool
	// Transports that are offered: "polling" and "websocket". nil: both.
	Transports []string
	// NoUpgrades keeps polling sessions with polling.
	NoUpgrades bool

	// OnPanic says what becomes of a session when one of its handlers panics.
	OnPanic PanicPolicy
	// Recovery enables connection state recovery. nil: there is none.
	Recovery *Recovery
	// Logger receives what nobody is told otherwise. nil: the actor system's.
	Logger *slog.Logger
}

// PanicPolicy is what becomes of a session when one of its handlers panics.
// The event fails in any case: who has asked for an acknowledgement gets
// "internal error", and the log has the stack.
type PanicPolicy uint8

const (
	// KeepSession lets the session go on. It is the default.
	KeepSession PanicPolicy = iota
	// CloseSession closes it, as [Socket.Close] does.
	CloseSession
)

// Recovery is the connection state recovery of the reference: for a while after
// a client was cut off its id, rooms, data and the events it has missed are
// kept, and it gets them back when it reconnects. Events with acknowledgements
// and volatile ones are not kept.
//
// Each event of the namespace gets one argument more, by which the client knows
// what it has got; a volatile one does if its last argument, or its name without
// any, is a string, for clients take that one.
type Recovery struct {
	// MaxDisconnection is for how long. 0: two minutes.
	MaxDisconnection time.Duration
	// SkipMiddlewares lets recovered clients in without [Server.Use].
	SkipMiddlewares bool
	// MaxEvents bounds the events that are kept for a namespace; an older one
	// cannot be recovered from. 0: 10,000.
	MaxEvents int
	// MaxSessions bounds the clients whose state is kept, for a namespace.
	// 0: 10,000.
	MaxSessions int
}

// resolved fills in the defaults.
func (o Options) resolved() Options {
	o.PingInterval = cmp.Or(o.PingInterval, 25*time.Second)
	o.PingTimeout = cmp.Or(o.PingTimeout, 20*time.Second)
	o.UpgradeTimeout = cmp.Or(o.UpgradeTimeout, 10*time.Second)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 45*time.Second)
	o.CloseTimeout = cmp.Or(o.CloseTimeout, 30*time.Second)
	o.StopGrace = cmp.Or(o.StopGrace, 5*time.Second)
	o.HandlerGrace = cmp.Or(o.HandlerGrace, time.Minute)
	o.MaxPayload = cmp.Or(o.MaxPayload, 1_000_000)
	o.MaxAttachments = cmp.Or(o.MaxAttachments, 10)
	o.MaxBuffered = cmp.Or(o.MaxBuffered, 4<<20)
	o.MaxEvents = cmp.Or(o.MaxEvents, 1000)
	o.MaxPendingAcks = cmp.Or(o.MaxPendingAcks, 10_000)
	o.MaxSessions = cmp.Or(o.MaxSessions, 100_000)
	o.MaxNamespaces = cmp.Or(o.MaxNamespaces, 16)
	o.MaxRooms = cmp.Or(o.MaxRooms, 1000)
	o.HandshakesPerIP = cmp.Or(o.HandshakesPerIP, 100)
	if o.Recovery != nil {
		r := *o.Recovery
		r.MaxDisconnection = cmp.Or(r.MaxDisconnection, 2*time.Minute)
		r.MaxEvents = cmp.Or(r.MaxEvents, 10_000)
		r.MaxSessions = cmp.Or(r.MaxSessions, 10_000)
		o.Recovery = &r
	}
	return o
}

// listMistakes are the values that cannot be meant, each an *actors.OptionError.
func (o Options) listMistakes() (errs []error) {
	bad := func(field string, value any, why string) {
		errs = append(errs, &actors.OptionError{Of: "socketio: NewServer", Field: "Options." + field, Value: value, Why: why})
	}
	type option struct {
		name  string
		v     int64
		value any
	}
	duration := func(name string, d time.Duration) option { return option{name, int64(d), d} }
	bound := func(name string, n int) option { return option{name, int64(n), n} }
	options := []option{
		duration("PingInterval", o.PingInterval), duration("PingTimeout", o.PingTimeout),
		duration("UpgradeTimeout", o.UpgradeTimeout), duration("ConnectTimeout", o.ConnectTimeout),
		duration("CloseTimeout", o.CloseTimeout), duration("HandlerGrace", o.HandlerGrace),
		duration("AckTimeout", o.AckTimeout),
		{"MaxPayload", o.MaxPayload, o.MaxPayload}, bound("MaxAttachments", o.MaxAttachments),
		bound("MaxBuffered", o.MaxBuffered), bound("MaxEvents", o.MaxEvents), bound("MaxPendingAcks", o.MaxPendingAcks),
		bound("MaxSessions", o.MaxSessions), bound("MaxNamespaces", o.MaxNamespaces), bound("MaxRooms", o.MaxRooms),
	}
	if r := o.Recovery; r != nil {
		options = append(options, duration("Recovery.MaxDisconnection", r.MaxDisconnection),
			bound("Recovery.MaxEvents", r.MaxEvents), bound("Recovery.MaxSessions", r.MaxSessions))
	}
	for _, opt := range options {
		if opt.v < 0 {
			bad(opt.name, opt.value, "is negative")
		}
	}
	for _, text := range o.AllowedOrigins {
		p, err := engineio.ParseOrigin(text)
		switch {
		case err != nil:
			bad("AllowedOrigins", text, fmt.Sprintf("has one that matches no origin (%v)", err))
		case o.AllowCredentials && p.Everybody():
			bad("AllowCredentials", text, "together with this origin lets every page act for its visitors: name the origins")
		}
	}
	for _, t := range o.Transports {
		if t != "polling" && t != "websocket" {
			bad("Transports", t, "has one that is neither polling nor websocket")
		}
	}
	return errs
}

// engine is what the layer below needs of the options.
func (o Options) engine() engineio.Options {
	offers := func(transport string) bool {
		for _, t := range o.Transports {
			if t == transport {
				return true
			}
		}
		return o.Transports == nil
	}
	return engineio.Options{
		PingInterval: o.PingInterval, PingTimeout: o.PingTimeout, UpgradeTimeout: o.UpgradeTimeout, CloseTimeout: o.CloseTimeout,
		MaxPayload: o.MaxPayload, MaxBuffered: o.MaxBuffered, MaxSessions: o.MaxSessions, HandshakesPer: o.HandshakesPerIP,
		NoUpgrades: o.NoUpgrades, NoPolling: !offers("polling"), NoWebSocket: !offers("websocket"),
		AllowedOrigins: o.AllowedOrigins, AllowCredentials: o.AllowCredentials, ClientIP: o.ClientIP,
	}
}
