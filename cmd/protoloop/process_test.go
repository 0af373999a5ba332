// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/console"
	"github.com/protoloop/protoloop/supervisor"
)

// asProcess says which of processes this program is to be, in place of the tests.
const asProcess = "PROTOLOOP_TEST_PROCESS"

// asCommand has it be the command.
const asCommand = "PROTOLOOP_TEST_COMMAND"

func TestMain(m *testing.M) {
	if what := os.Getenv(asProcess); what != "" {
		if err := beProcess(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// processes are the children of a supervisor called shop, by what is wrong with them, and what
// is done to them once they are up.
var processes = map[string]struct {
	children func() []supervisor.Child
	do       func(root *actor.RootContext)
}{
	"well": {children: func() []supervisor.Child { return []supervisor.Child{{Name: "list", Props: actors.Props(list)}} }},
	"ring": {
		children: func() []supervisor.Child {
			return []supervisor.Child{
				{Name: "prices", Props: actors.Props(list)},
				{Name: "stock", Props: actors.Props(list)},
				{Name: "page", Props: actors.Props(list)},
			}
		},
		do: func(root *actor.RootContext) {
			at := root.ActorSystem().Address()
			var price, reserve actors.Promise[*actors.Future[int]]
			awaits := func(worker, task string, other *actors.Promise[*actors.Future[int]]) *actors.Future[int] {
				return actors.Submit(root, actor.NewPID(at, "shop/"+worker), func(t *actors.Task) (int, error) {
					f, err := actors.Await(t, other.Future())
					if err != nil {
						return 0, err
					}
					return actors.Await(t, f)
				}, actors.Name(task))
			}
			price.Resolve(awaits("prices", "price of", &reserve))
			reserve.Resolve(awaits("stock", "reserve", &price))
			awaits("page", "show", &price)
		},
	},
	"blocked": {
		children: func() []supervisor.Child {
			return []supervisor.Child{
				{Name: "list", Props: actors.Props(list, actors.EventLoop(actors.Options{BlockedTurn: 100 * time.Millisecond}))},
				{Name: "page", Props: actors.Props(pageOf)},
			}
		},
		do: func(root *actor.RootContext) {
			at := root.ActorSystem().Address()
			root.Send(actor.NewPID(at, "shop/list"), blockTurn{})
			for range 3 {
				root.Send(actor.NewPID(at, "shop/page"), question{})
			}
		},
	},
	"storm": {
		children: func() []supervisor.Child {
			starts := 0
			return []supervisor.Child{{Name: "mail", Props: actors.Props(func(w *actors.Worker) error {
				starts++
				if starts <= 3 {
					w.Main(func(*actors.Task) error { return errors.New("smtp: 451 try again later") })
				}
				return nil
			})}, {Name: "sms", Props: actors.Props(func(w *actors.Worker) error {
				w.Main(func(t *actors.Task) error { // when mail has had its restarts
					if err := t.Sleep(500 * time.Millisecond); err != nil {
						return err
					}
					return errors.New("modem: no carrier")
				})
				return nil
			}), Backoff: actors.Backoff{Initial: time.Hour}}}
		},
	},
}

type (
	question  struct{}
	blockTurn struct{}
)

// list answers questions, and blocks its turn when it is told to.
func list(w *actors.Worker) error {
	actors.Handle(w, func(*actors.Task, question) (int, error) { return 1, nil })
	actors.On(w, func(*actors.Task, blockTurn) error { time.Sleep(time.Hour); return nil })
	return nil
}

// pageOf answers a question by asking the list. It is no closure, as the compilers name one that they inline each in
// their own way.
func pageOf(w *actors.Worker) error {
	actors.Handle(w, func(t *actors.Task, q question) (int, error) {
		return actors.Ask[int](t, t.Sibling("list"), q, actors.Timeout(time.Hour))
	})
	return nil
}

// beProcess runs one of processes until its standard input ends.
func beProcess(what string) error {
	p := processes[what]
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	c, err := console.New(sys, console.Options{Actions: true, Record: time.Second})
	if err != nil {
		return err
	}
	children := append([]supervisor.Child{{Name: "console", Props: actors.Props(c.Setup)}}, p.children()...)
	_, err = supervisor.Start(context.Background(), sys, supervisor.Spec{Name: "shop", MaxRestarts: 5, Within: time.Hour, Children: children})
	if err != nil {
		return err
	}
	if p.do != nil {
		p.do(sys.Root)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends
	return nil                           // without a stop: a turn may be blocked for good
}

// process is one of processes, and what a command of this user finds of it.
type process struct {
	t   *testing.T
	pid int
	dir string // XDG_RUNTIME_DIR
	end func() // of the one that was started last
}

func startProcess(t *testing.T, what string) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir()}
	p.add(what)
	return p
}

// add starts another one beside it.
func (p *process) add(what string) {
	p.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asProcess+"="+what, "XDG_RUNTIME_DIR="+p.dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	p.end = sync.OnceFunc(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			p.t.Errorf("the process: %v", err)
		}
	})
	p.t.Cleanup(p.end)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		p.t.Fatalf("the process says %q: %v", line, err)
	}
}

// run runs a command on the process, and returns what it prints.
func (p *process) run(args ...string) (code int, out, err string) {
	return p.runUntil(func(string) bool { return false }, args...)
}

// runUntil is run, which ends the command as Ctrl-C does when what it has printed is enough.
func (p *process) runUntil(enough func(out string) bool, args ...string) (code int, out, errs string) {
	ctx, cancel := context.WithTimeout(p.t.Context(), giveUp)
	defer cancel()
	o := &untilWriter{enough: enough, end: cancel}
	var e strings.Builder
	code = p.runWith(ctx, terminal{out: o, err: &e}, args...)
	return code, o.all.String(), e.String()
}

// giveUp is when something will not come any more. It is only ever waited for when a test fails, and so may be right for a
// machine that is far slower than others.
const giveUp = 5 * time.Minute

// untilWriter keeps what is written, and calls end when that is enough.
type untilWriter struct {
	all    strings.Builder // not embedded, or a WriteString would go by
	enough func(all string) bool
	end    func()
}

func (w *untilWriter) Write(b []byte) (int, error) {
	w.all.Write(b)
	if w.enough(w.all.String()) {
		w.end()
	}
	return len(b), nil
}

func (p *process) runWith(ctx context.Context, t terminal, args ...string) int {
	// The folder of sockets is that of the process, not that of whoever runs the tests.
	p.t.Setenv("XDG_RUNTIME_DIR", p.dir)
	t.env = func(name string) string {
		return map[string]string{"PROTOLOOP_TOKEN": os.Getenv("PROTOLOOP_TOKEN"), "PROTOLOOP_TOKEN_FILE": os.Getenv("PROTOLOOP_TOKEN_FILE")}[name]
	}
	return run(ctx, args, t)
}
