// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// command is a subcommand.
type command interface {
	name() string
	summary() string
	// declare adds the command's flags. It sets them to their defaults.
	declare(flags *flag.FlagSet)
	// run does it. When ctx ends it stops what it has started and returns the
	// context's cause.
	run(ctx context.Context, stdout, stderr io.Writer) error
}

// validated is a command whose flags may be in each other's way.
type validated interface{ check() error }

// configurable is a command whose flags can be set from the environment. The
// command line comes after it.
type configurable interface {
	environment(flags *flag.FlagSet) error
}

// commands lists all subcommands; the first is what runs when none is named.
func commands() []command { return []command{&serve{}, &eager{}, &poller{}} }

// parse returns the command that args ask for, with its flags set. The error
// is flag.ErrHelp if they ask for help.
func parse(args []string) (command, error) {
	all := commands()
	cmd := all[0]
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		if cmd = find(all, args[0]); cmd == nil {
			return nil, fmt.Errorf("unknown command %q", args[0])
		}
		args = args[1:]
	}
	flags := flag.NewFlagSet(cmd.name(), flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the error, usage the help
	cmd.declare(flags)
	if c, ok := cmd.(configurable); ok {
		if err := c.environment(flags); err != nil && !asksForHelp(args) {
			return nil, err
		}
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() == 0 {
		if c, ok := cmd.(validated); ok {
			if err := c.check(); err != nil {
				return nil, err
			}
		}
		return cmd, nil
	}
	if extra := flags.Arg(0); find(all, extra) != nil {
		return nil, fmt.Errorf("command %q must come first, before any flag", extra)
	}
	return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
}

// asksForHelp reports whether args do: help is given whatever the environment.
func asksForHelp(args []string) bool {
	for _, a := range args {
		switch a {
		case "-h", "-help", "--h", "--help":
			return true
		}
	}
	return false
}

func find(all []command, name string) command {
	for _, c := range all {
		if c.name() == name {
			return c
		}
	}
	return nil
}

func usage(w io.Writer) {
	all := commands()
	fmt.Fprint(w, "Usage: example [command] [flags]\n\n",
		"Shows what protoloop does: async/await for actors on Proto.Actor.\n")
	for i, cmd := range all {
		byDefault := ""
		if i == 0 {
			byDefault = " (runs when no command is named)"
		}
		fmt.Fprintf(w, "\nCommand %s%s\n%s\n\nFlags of %[1]s\n", cmd.name(), byDefault, cmd.summary())
		flags := flag.NewFlagSet(cmd.name(), flag.ContinueOnError)
		var list strings.Builder
		flags.SetOutput(&list)
		cmd.declare(flags)
		flags.PrintDefaults()
		fmt.Fprint(w, strings.ReplaceAll(list.String(), "\t", "    ")) // wherever tab stops are
	}
	fmt.Fprint(w, `
Ctrl-C stops it at any moment.
Exit codes: 0 done, 1 failed, 2 wrong usage; for eager 130 stopped by Ctrl-C (SIGINT), 143 by SIGTERM; serve
and poller are done when they were stopped and have left nothing behind.
`)
}

// count is the value of a flag that is a number within bounds.
type count struct {
	n        *int
	min, max int
}

func (c *count) String() string {
	if c.n == nil { // package flag asks a zero count for the zero value
		return ""
	}
	return strconv.Itoa(*c.n)
}

func (c *count) Set(s string) error {
	n, err := strconv.Atoi(s)
	if errors.Is(err, strconv.ErrSyntax) {
		return errors.New("not a whole number")
	}
	if err != nil || n < c.min || n > c.max {
		return fmt.Errorf("must be from %d to %d", c.min, c.max)
	}
	*c.n = n
	return nil
}

// share is the value of a flag that is a fraction.
type share struct{ f *float64 }

func (s *share) String() string {
	if s.f == nil {
		return ""
	}
	return strconv.FormatFloat(*s.f, 'g', -1, 64)
}

func (s *share) Set(text string) error {
	f, err := strconv.ParseFloat(text, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return errors.New("not a number")
	}
	if err != nil || !(f >= 0 && f <= 0.9) {
		return errors.New("must be from 0 to 0.9")
	}
	*s.f = f
	return nil
}
