// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/label"
	"github.com/protoloop/protoloop/internal/safelog"
	"github.com/protoloop/protoloop/socketio"
)

// Access is what somebody who has logged in may do.
type Access int

const (
	// Refused lets nobody in. It is the zero value.
	Refused Access = iota
	// Look lets see everything, and do nothing.
	Look
	// Act lets emit, join, leave and disconnect, too.
	Act
)

// Credentials are what somebody logs in with.
type Credentials struct {
	Username, Password string
	Address            string // of the client: see socketio.Options.ClientIP
}

// Options of [New]. All but Authorize may be zero.
type Options struct {
	// Namespace is the one that the page connects to. Empty: "/admin".
	Namespace string
	// Authorize says what who logs in may do: [Basic] compares with one name and password. An error is
	// logged, and lets nobody in. It is called off the loop, for two at a time, and may block until ctx ends, after
	// ten seconds: a comparison with a bcrypt hash is meant to take long. It has to be set.
	Authorize func(ctx context.Context, c Credentials) (Access, error)
	// ReadOnly: nobody may do more than Look.
	ReadOnly bool
	// Arguments shows the arguments of events, which may have secrets in them.
	Arguments bool
	// CountsOnly shows no sockets, rooms and events, but the counts of servers and namespaces alone, for a
	// server of so many clients that each event is too much (the reference's mode "production").
	CountsOnly bool
	// ServerID is what the page calls this server. Empty: the host's name.
	ServerID string
	// SessionLife is for how long a browser that has logged in may come back without a password. 0:
	// a day; negative: not at all.
	SessionLife time.Duration
	// Logger has a record of each log-in and each action, with who and what. nil: slog.Default.
	Logger *slog.Logger
}

// Basic returns an Authorize that lets one name and password in. It takes the same time
// whatever is wrong.
func Basic(username, password string, access Access) func(context.Context, Credentials) (Access, error) {
	if username == "" || password == "" {
		panic("admin: Basic called with an empty username or password")
	}
	name, secret := sha256.Sum256([]byte(username)), sha256.Sum256([]byte(password))
	return func(_ context.Context, c Credentials) (Access, error) {
		gotName, gotSecret := sha256.Sum256([]byte(c.Username)), sha256.Sum256([]byte(c.Password))
		if subtle.ConstantTimeCompare(name[:], gotName[:])&subtle.ConstantTimeCompare(secret[:], gotSecret[:]) != 1 {
			return Refused, nil
		}
		return access, nil
	}
}

// Admin is the namespace that the page connects to.
type Admin struct {
	io       *socketio.Server
	opts     Options
	ns       *socketio.Namespace
	log      *slog.Logger
	sessions sessions
	logins   *actors.Limiter
	host     string
}

// startedAt is about when the process began.
var startedAt = time.Now()

// New makes the namespace on a server, once. What cannot be meant is all in one error, each an
// [*actors.OptionError].
func New(io *socketio.Server, o Options) (*Admin, error) {
	var errs []error
	missing := func(field string) {
		errs = append(errs, &actors.OptionError{Of: "admin: New", Field: field, Why: "is missing"})
	}
	if io == nil {
		missing("io")
	}
	if o.Authorize == nil {
		missing("Options.Authorize")
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	o.ServerID = cmp.Or(o.ServerID, host)
	o.SessionLife = cmp.Or(o.SessionLife, 24*time.Hour)
	a := &Admin{io: io, opts: o, ns: io.Of(cmp.Or(o.Namespace, "/admin")), host: host, logins: actors.NewLimiter("admin log-ins", 2)}
	a.log = safelog.Contain(cmp.Or(o.Logger, slog.Default()))
	a.ns.Use(a.logIn)
	a.ns.OnConnect(a.connected)
	a.ns.OnDisconnect(a.disconnected)
	a.registerActions()
	return a, nil
}

// viewer is somebody who has logged in: the data of his socket.
type viewer struct {
	name    string
	access  Access
	session string   // to come back with; empty: none
	cancel  func()   // ends the telling of what happens; nil: there is none
	last    counters // of the server, when they were last sent
}

// loginAuth is what the page sends with its connect.
type loginAuth struct {
	Username  string `json:"username"`
	Password  string `json:"password"`
	SessionID string `json:"sessionId"`
}

// errInvalid is the error that the page knows.
var errInvalid = errors.New("invalid credentials")

const (
	loginTimeout = 10 * time.Second
	// maxUser is how much of the name of somebody who was refused is logged, in bytes: anybody may send any, as long as a message may be.
	maxUser = 100
	// refusalDelay makes who guesses passwords wait, on each of the connections that he may open.
	refusalDelay = time.Second
)

// logIn is the middleware.
func (a *Admin) logIn(t *actors.Task, s *socketio.Socket) error {
	h := s.Handshake()
	var auth loginAuth
	_ = json.Unmarshal(h.Auth, &auth) // one that is none has no credentials
	if name, access, known := a.sessions.find(auth.SessionID, time.Now()); known {
		s.SetData(&viewer{name: name, access: access, session: auth.SessionID})
		return nil
	}
	if auth.Username == "" && auth.Password == "" { // the page tries with its session first
		return errInvalid
	}
	access, err := actors.AwaitOffload(t, func(ctx context.Context) (Access, error) {
		ctx, cancel := context.WithTimeout(ctx, loginTimeout)
		defer cancel()
		return a.opts.Authorize(ctx, Credentials{auth.Username, auth.Password, h.Address})
	}, actors.Through(a.logins))
	if a.opts.ReadOnly {
		access = min(access, Look)
	}
	if err != nil || access != Look && access != Act {
		a.log.WarnContext(t.Context(), "socketio: admin: log-in refused", "user", label.Text(auth.Username, maxUser), "address", h.Address, "error", err)
		if err := t.Sleep(refusalDelay); err != nil {
			return err
		}
		return errInvalid
	}
	v := &viewer{name: auth.Username, access: access}
	if a.opts.SessionLife > 0 {
		v.session = a.sessions.add(v.name, access, time.Now().Add(a.opts.SessionLife))
	}
	s.SetData(v)
	a.log.InfoContext(t.Context(), "socketio: admin: logged in", "user", v.name, "address", h.Address, "act", access == Act)
	return nil
}

// features are what the page offers.
func (a *Admin) features(v *viewer) []string {
	all := []string{"AGGREGATED_EVENTS"}
	if !a.opts.CountsOnly {
		all = append(all, "ALL_EVENTS")
	}
	if v.access == Act {
		all = append(all, "EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT")
	}
	return all
}

// connected tells the page what it needs to begin with, and from then on what happens.
func (a *Admin) connected(t *actors.Task, s *socketio.Socket) error {
	v, ok := s.Data().(*viewer)
	if !ok {
		return fmt.Errorf("admin: socket %s has not logged in", s.ID()) // it cannot be
	}
	v.last = a.counters() // before it is told anything, after which something may happen at once
	if v.session != "" {
		if err := s.Emit("session", v.session); err != nil {
			return err
		}
	}
	if err := s.Emit("config", map[string]any{"supportedFeatures": a.features(v)}); err != nil {
		return err
	}
	if !a.opts.CountsOnly {
		// Told first, so that nothing is missed. What has happened before the look at all
		// sockets is in that.
		told := make(chan time.Time, 1)
		v.cancel = a.io.Subscribe(socketio.AllActivity, 0, a.teller(s, told))
		told <- time.Now()
		first, rest := a.allSockets()
		if err := s.Emit("all_sockets", first); err != nil {
			return err
		}
		if len(rest) > 0 {
			t.Go(func(t *actors.Task) error { return sendRest(t, s, rest) }, actors.Name("socketio admin sockets"))
		}
	}
	t.Go(func(t *actors.Task) error { return a.sendStats(t, s, v) }, actors.Name("socketio admin stats"))
	return nil
}

func (a *Admin) disconnected(_ *actors.Task, s *socketio.Socket, _ socketio.Reason) {
	if v, ok := s.Data().(*viewer); ok && v.cancel != nil {
		v.cancel()
	}
}
