// SPDX-License-Identifier: Apache-2.0

// Package console shows what the workers, supervisors, queues and Socket.IO servers of a
// process do, and why something waits: in a browser, and to the command line protoloop.
//
//	c, err := console.New(system, console.Options{})
//	…
//	{Name: "console", Props: actors.Props(c.Setup)}, // first among the children of a supervisor
//
// [Console.Setup] makes a worker serve it, by default on a Unix socket that only the user of the process can
// reach: $XDG_RUNTIME_DIR/protoloop/PID.sock. [Console.Handler] is the same for a server of
// yours. Nothing is registered on [http.DefaultServeMux].
//
// # It answers when nothing else does
//
// The console runs on goroutines of its own, and takes no turn of a worker. So it answers when each
// worker is blocked, and during a stop until its own worker ends: as the first child of the
// supervisor at the top it is the last one to be stopped.
//
// # It is safe to leave on
//
// While nobody looks it does nothing; it only hears of failures and restarts, of which it keeps the
// last thousand. However many pages are open, the process is looked at once a second, and after an action; less often where looks
// would take more than 4 % of one processor; each page says how old it is. Captures, and a look at the tasks of one worker, are
// made when somebody asks for them. Who may ask is decided in this order:
//
//   - The host that a request names has to be a loopback name or one of [Options.Hosts], so that
//     no page of somebody else's gets here by a name of its own (DNS rebinding).
//   - A request that another site's page has made is refused ([http.CrossOriginProtection]).
//   - Over TCP it needs the token, unless both ends are on this machine; see [Options.Token].
//     [Options.Authorize] decides instead if it is set.
//   - There is a limit of requests a second, of streams, and of one capture at a time.
//
// Nobody can do more than look unless [Options.Actions] is set. Each action names the incarnation of its
// target, is refused if that has changed, and leaves a log record that says who it was.
// Bodies and attributes of messages, and the environment, are never shown; [Options.Redact]
// replaces names and errors.
package console

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actors/inspect"
	"github.com/protoloop/protoloop/internal/safelog"
	"github.com/protoloop/protoloop/internal/view"
)

// Options are those of a console. The zero value is usable.
type Options struct {
	// Addr is what Setup listens on: "unix:PATH", or host:port for TCP. Empty:
	// a Unix socket that is named by the id of the process, in the folder protoloop of $XDG_RUNTIME_DIR, or of
	// the folder for temporary files with the user's id in its name. The command line finds it there.
	Addr string
	// Token is what a request over TCP has to bring, as a bearer token or once as
	// ?token= in a browser. Empty: one is made, and logged when it is first needed. A request from loopback to
	// loopback that no proxy has passed on needs none if Token is empty, and over a Unix socket none does,
	// where the file's mode decides.
	Token string
	// Hosts are the names that the console may be asked for beside localhost and loopback
	// addresses: that of a proxy, or of the machine. A request for one of them needs the token.
	Hosts []string
	// Authorize says who has sent a request and what they may do, in place of the token. An error is shown to
	// them, with status 403.
	Authorize func(r *http.Request) (Grant, error)
	// Actions allows to cancel tasks, restart and stop children, end a grace, disconnect
	// sockets and make captures. Without it nobody can, whatever Authorize says.
	Actions bool
	// Redact replaces a name or the text of an error before it is shown. It may be called by several
	// goroutines at a time. Names that it makes the same cannot be told apart any more, and not be the target of an action.
	Redact func(what Text, text string) string
	// Record is how long a window the flight recorder of package runtime/trace keeps, which is kept as a capture when a turn is
	// blocked; 0: it does not run. A process has one at a time. It costs about 1 % of a processor with ten thousand
	// goroutines.
	Record time.Duration
	// RecordLimit is the number of goroutines, suspended tasks among them, above which the recorder does not run; 0 is
	// 20,000, and negative is no limit.
	RecordLimit int
	// Logger: the actor system's, if nil.
	Logger *slog.Logger
}

// Grant is what somebody may do.
type Grant struct {
	Who  string // for the log
	Look bool
	Act  bool // if Options.Actions is set
}

// Text is the kind of text that Options.Redact is given.
type Text string

// The kinds of texts.
const (
	WorkerID   Text = view.RedactWorker // the id of a PID
	TaskName   Text = view.RedactTask
	ErrorText  Text = view.RedactError
	RoomName   Text = view.RedactRoom
	ClientName Text = view.RedactSocket // a client's address
	MessageID  Text = view.RedactQueue  // a message's id, or its key
)

// Console shows an actor system.
type Console struct {
	sys      *actor.ActorSystem
	opts     Options
	log      *slog.Logger
	token    string
	hosts    map[string]bool
	look     looker
	timeline timeline
	dead     deadLetters
	captures captures
	lags     lags

	withLines perLook[inspect.Snapshot]
	stacks    perLook[stackLook]
	sockets   perLook[[]view.SocketLook]

	tokenLogged sync.Once
	asked       limiter       // requests of those who may look …
	refused     limiter       // … and of others
	streams     chan struct{} // a place for each

	mu  sync.Mutex
	url string
}

// New returns a console of an actor system. It serves nothing yet. Options that cannot be
// meant are all in one error, each an [*actors.OptionError].
func New(sys *actor.ActorSystem, o Options) (*Console, error) {
	errs := o.listMistakes()
	if sys == nil {
		errs = append(errs, &actors.OptionError{Of: "console: New", Field: "sys", Why: "is missing"})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	log := o.Logger
	if log == nil {
		log = sys.Logger()
	}
	c := &Console{
		sys: sys, opts: o, log: safelog.Contain(log), token: o.Token, hosts: map[string]bool{},
		asked: limiter{rate: 50, burst: 200}, refused: limiter{rate: 10, burst: 50}, streams: make(chan struct{}, maxStreams),
	}
	if c.token == "" {
		c.token = rand.Text()
	}
	for _, h := range o.Hosts {
		c.hosts[hostOf(h)] = true
	}
	c.look.init(c)
	c.hear()
	c.captures.c = c
	c.captures.recording.why = "console.Options.Record is not set"
	return c, nil
}

// maxStreams is how many pages may be open at a time.
const maxStreams = 32

func (o *Options) listMistakes() []error {
	var errs []error
	bad := func(field string, value any, why string) {
		errs = append(errs, &actors.OptionError{Of: "console: Options", Field: field, Value: value, Why: why})
	}
	if _, err := networkOf(o.Addr); err != nil {
		bad("Addr", o.Addr, err.Error())
	}
	if o.Token != "" && len(o.Token) < minToken {
		bad("Token", nil, fmt.Sprintf("is shorter than %d characters: it can be guessed", minToken))
	}
	for _, h := range o.Hosts {
		if hostOf(h) == "" || h == "*" {
			bad("Hosts", h, "is no name of a host: any name would let pages of others in")
		}
	}
	if o.Record < 0 {
		bad("Record", o.Record, "is negative")
	}
	return errs
}

const minToken = 16

// Handler is the console for a server of yours, at the root of it or below a path:
//
//	mux.Handle("/console/", http.StripPrefix("/console", c.Handler()))
//
// It checks each request as said above. The server may
// not have a WriteTimeout of less than some seconds: captures take that long; a page's stream sets its own.
func (c *Console) Handler() http.Handler { return c.guard(c.routes()) }
