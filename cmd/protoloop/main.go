// SPDX-License-Identifier: Apache-2.0

// Command protoloop looks into a process that has a console of package console: what waits, and
// for what in the end, what fails, and what still runs after it was told to end.
//
//	protoloop doctor          what is wrong; exit code 1 if anything is
//	protoloop pstree 4711     who waits for whom, rings named
//	protoloop top             a full screen, as top(1)
//
// The target is the id of a process, the path of its socket or a URL. Without one it is the only
// process of this user that has a console.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// Exit codes.
const (
	exitOK      = 0
	exitUnwell  = 1 // doctor has found something
	exitTrouble = 2 // a wrong command line, or the process cannot be asked
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.Getenv}))
}

// terminal is what a command reads from and writes to.
type terminal struct {
	in  io.Reader
	out io.Writer
	err io.Writer
	env func(string) string
}

// isScreen reports whether out is a terminal that can be drawn on.
func (t terminal) isScreen() bool {
	f, ok := t.out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && t.env("TERM") != "dumb"
}

// hasColor reports whether text may be colored: see https://no-color.org.
func (t terminal) hasColor() bool { return t.isScreen() && t.env("NO_COLOR") == "" }

// width is how many characters fit into a line; 0: there is no limit.
func (t terminal) width() int {
	if f, ok := t.out.(*os.File); ok && t.isScreen() {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			return w
		}
	}
	return 0
}

// command is a call of one of the commands.
type command struct {
	terminal
	name   string
	client *client
	json   bool          // answers as the console gives them, a line each
	watch  time.Duration // again and again; 0: once
	rows   int
	sort   string
	filter string
	file   string
	lines  bool
	kind   string
}

// verb is what a command does. Its help is a line.
type verb struct {
	name, help string
	flags      func(f *flag.FlagSet, c *command)
	run        func(ctx context.Context, c *command) error
}

// errUnwell says that doctor has found something, and has told what.
var errUnwell = errors.New("something is wrong")

// usageError is a mistake in the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func verbs() []verb {
	table := func(f *flag.FlagSet, c *command) {
		f.IntVar(&c.rows, "n", 30, "show `n` rows at most")
		f.StringVar(&c.sort, "sort", "", "sort by this `column`: busy, queued, oldest, wait, turn, tasks, failed, …")
		f.StringVar(&c.filter, "q", "", "show only workers with this `text` in their name or kind")
	}
	return []verb{
		{"ps", "the workers, those with most to do first", table, runPs},
		{"pstree", "what tasks wait for in the end, and who waits for it; rings are named", func(f *flag.FlagSet, c *command) {
			f.BoolVar(&c.lines, "lines", true, "show where in the code they wait")
		}, runPstree},
		{"top", "ps on a full screen, each second; plain lines where there is no terminal", table, runTop},
		{"tail", "what happens: failures, restarts, stops, blocked turns, actions", nil, runTail},
		{"stacks", "the goroutines, those with the same stack together", func(f *flag.FlagSet, c *command) {
			f.IntVar(&c.rows, "n", 20, "show `n` stacks at most")
			f.StringVar(&c.filter, "q", "", "show only stacks with this `text`")
		}, runStacks},
		{"profile", "take a profile of the next 5 seconds, for go tool pprof", func(f *flag.FlagSet, c *command) {
			f.StringVar(&c.file, "o", "", "write it to this `file`")
			f.StringVar(&c.kind, "kind", "cpu", "`cpu`, heap or goroutines")
		}, runProfile},
		{"record", "write down the last seconds of the flight recorder, for go tool trace", func(f *flag.FlagSet, c *command) {
			f.StringVar(&c.file, "o", "", "write it to this `file`")
		}, runRecord},
		{"doctor", "what is wrong; exit code 1 if anything is", nil, runDoctor},
	}
}

// run is main with its surroundings passed in; it returns the exit code.
func run(ctx context.Context, args []string, t terminal) int {
	err := dispatch(ctx, args, t)
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUnwell):
		return exitUnwell
	case ctx.Err() != nil: // it was told to end
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(t.err, "protoloop: %v\nRun \"protoloop -h\" for help.\n", err)
	default:
		fmt.Fprintf(t.err, "protoloop: %v\n", err)
	}
	return exitTrouble
}

func dispatch(ctx context.Context, args []string, t terminal) error {
	if len(args) == 0 {
		return &usageError{"which command? One of " + names()}
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		help(t.out)
		return nil
	}
	for _, v := range verbs() {
		if v.name == args[0] {
			return call(ctx, v, args[1:], t)
		}
	}
	return &usageError{fmt.Sprintf("there is no command %q: one of %s", args[0], names())}
}

func names() string {
	var all []string
	for _, v := range verbs() {
		all = append(all, v.name)
	}
	return strings.Join(all, ", ")
}

func help(w io.Writer) {
	fmt.Fprint(w, "Usage: protoloop COMMAND [TARGET] [flags]\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(w, "  %-8s %s\n", v.name, v.help)
	}
	fmt.Fprint(w, `
TARGET is the id of a process, the path of its socket, or a URL such as http://127.0.0.1:7070/. Without it: the
only process of this user that has a console.

  -json       the console's own JSON, an answer on each line
  -watch 1s   again each second
  -h          the flags of a command

A console that wants a token gets that of $PROTOLOOP_TOKEN, or of the file that $PROTOLOOP_TOKEN_FILE names.
Exit codes: 0; 1 if doctor has found something; 2 if the process cannot be asked.
`)
}

// call parses what follows the command's name. Flags may stand before and behind the target.
func call(ctx context.Context, v verb, args []string, t terminal) error {
	c := &command{terminal: t, name: v.name}
	f := flag.NewFlagSet("protoloop "+v.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&c.json, "json", false, "print the console's own JSON, an answer on each line")
	f.DurationVar(&c.watch, "watch", 0, "print it again each `interval`, of a second at least")
	if v.flags != nil {
		v.flags(f, c)
	}
	var targets []string
	for len(args) > 0 {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				fmt.Fprintf(t.out, "Usage: protoloop %s [TARGET] [flags]: %s\n", v.name, v.help)
				f.SetOutput(t.out)
				f.PrintDefaults()
				return nil
			}
			return &usageError{v.name + ": " + err.Error()}
		}
		if args = f.Args(); len(args) > 0 {
			targets, args = append(targets, args[0]), args[1:]
		}
	}
	switch {
	case len(targets) > 1:
		return &usageError{fmt.Sprintf("%s: one target at a time, not %s", v.name, strings.Join(targets, " and "))}
	case c.watch != 0 && c.watch < time.Second:
		return &usageError{fmt.Sprintf("%s: -watch %v is less than a second", v.name, c.watch)}
	}
	target := ""
	if len(targets) == 1 {
		target = targets[0]
	}
	var err error
	if c.client, err = findTarget(ctx, target, t.env); err != nil {
		return err
	}
	return v.run(ctx, c)
}
