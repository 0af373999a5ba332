// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"time"
)

// options are what the flags say.
type options struct {
	rounds    int
	sample    time.Duration
	match     *regexp.Regexp
	check     bool
	list      bool
	json      bool
	other     string // a program
	computing int    // goroutines, beside each measurement
	process   string
	child     string
}

func main() { os.Exit(bench(os.Args[1:], os.Stdout, os.Stderr)) }

// bench is the program; it returns the exit code: 1 for a benchmark that
// failed, or with -check missed a requirement, and 2 for flags that make no
// sense.
func bench(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	if o.child != "" {
		err = runChild(o.child, os.Stdin, stdout)
	} else if o.process != "" {
		err = o.runProcess()
	} else {
		var missed int
		if missed, err = o.run(stdout); err == nil && missed > 0 && o.check {
			err = fmt.Errorf("%s missed", plural(missed, "requirement"))
		}
	}
	if errors.Is(err, errNothing) {
		fmt.Fprintf(stderr, "bench: -run %s %v\n", o.match, err)
		return 2
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// parse has told stderr about an error that it returns.
func parse(args []string, stderr io.Writer) (options, error) {
	o := options{match: regexp.MustCompile("")}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, "Prints a table that compares protoloop with goroutines and channels, Proto.Actor and worker pools.\n\nUsage: go run ./bench [flags]\n\n")
		f.VisitAll(func(g *flag.Flag) {
			if g.Name != processFlag && g.Name != childFlag {
				name, usage := flag.UnquoteUsage(g)
				fmt.Fprintf(stderr, "  -%s %s\n    \t%s\n", g.Name, name, usage)
			}
		})
	}
	f.IntVar(&o.rounds, "rounds", 9, "measure each case `n` times, in turn (default 9; fewer than 7 are not what the limits are meant for)")
	f.DurationVar(&o.sample, "sample", 50*time.Millisecond, "let each measurement take about this `duration` (default 50ms)")
	f.Func("run", "only the cases whose names match this `regexp`, and what they are compared to", func(s string) (err error) {
		o.match, err = regexp.Compile(s)
		return err
	})
	f.BoolVar(&o.check, "check", false, "exit with 1 if a requirement is missed")
	f.BoolVar(&o.list, "list", false, "print the names of the cases and end")
	f.BoolVar(&o.json, "json", false, "print every sample as JSON, and no table")
	f.StringVar(&o.other, "other", "", "compare with another build of this program, a `file`, whose cases take turns with these")
	f.IntVar(&o.computing, "computing", 0, "have `n` goroutines compute beside each measurement: of what it finds, ns/op and p99 are of use then")
	f.StringVar(&o.process, processFlag, "", "")
	f.StringVar(&o.child, childFlag, "", "")
	err := f.Parse(args)
	switch {
	case err != nil: // the flag set has said so
		return o, err
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.rounds < 1:
		err = fmt.Errorf("-rounds is %d, want at least 1", o.rounds)
	case o.computing < 0:
		err = fmt.Errorf("-computing is %d, want at least 0", o.computing)
	case o.sample <= 0:
		err = fmt.Errorf("-sample is %v, want more than 0", o.sample)
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\nRun with -h for the flags.\n", err)
	}
	return o, err
}

// run measures and prints. It returns how many requirements are missed.
func (o options) run(w io.Writer) (missed int, err error) {
	s, err := choose(o.match)
	if err != nil {
		return 0, err
	}
	if o.list {
		for _, c := range s.cases {
			fmt.Fprintln(w, c.name)
		}
		for _, c := range s.memory {
			fmt.Fprintln(w, c.name)
		}
		for _, c := range s.beside {
			fmt.Fprintln(w, c.name)
		}
		for _, c := range s.fair {
			fmt.Fprintln(w, c.name)
		}
		return 0, nil
	}
	progress := progressWriter()
	report := reportLoad()
	res := results{}
	if o.other != "" {
		s.rules = slices.Concat(s.rules, otherRules(s.cases))
	}
	if err = res.turns(s.cases, o.rounds, o.other != "", o.spawn, progress); err == nil {
		err = res.memory(s.memory, o.spawn, progress)
	}
	if err == nil {
		err = res.beside(s.beside, o.spawn, progress)
	}
	if err == nil {
		err = res.fair(s.fair, o.spawn, progress)
	}
	fmt.Fprint(progress, "\r\x1b[K")
	if err != nil {
		return 0, err
	}
	if !o.json {
		missed = printTable(w, s, res, o.rounds)
		report(w)
		return missed, nil
	}
	for _, r := range s.rules {
		if r.apply(res).failed() {
			missed++
		}
	}
	return missed, json.NewEncoder(w).Encode(res)
}

// progressWriter is the terminal, if there is one: a line that is overwritten
// is of no use in a file.
func progressWriter() io.Writer {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return os.Stderr
	}
	return io.Discard
}
