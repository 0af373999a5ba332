// SPDX-License-Identifier: Apache-2.0

// Command example shows what protoloop does, as a story to watch and as code
// to read: eager.go is the way in, timeline.go the first thing it shows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// Exit codes. A run that a signal stops ends with 128 plus the signal's
// number, as shells have it: 130 after Ctrl-C.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings passed in; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, release := untilSignal(context.Background())
	defer release()

	out := &checked{w: stdout}
	cmd, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(out)
		err = nil
	case err != nil:
		fmt.Fprintf(stderr, "example: %v\nRun \"example -h\" for help.\n", err)
		return exitUsage
	default:
		err = cmd.run(ctx, out, stderr)
	}
	if err == nil {
		err = out.err
	}
	if err == nil {
		return exitOK
	}
	code, begin := exitFailed, ""
	if sig, ok := errors.AsType[*interrupted](err); ok {
		code = sig.exitCode()
		if isTerminal(stderr) {
			begin = "\r" // over the ^C that the terminal has shown
		}
	}
	fmt.Fprintf(stderr, "%sexample: %v\n", begin, err)
	return code
}

// checked remembers the first error of a writer, for instance that the disk
// is full. Who prints a hundred lines then looks once, at the end.
type checked struct {
	w   io.Writer
	err error
}

func (c *checked) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if c.err == nil {
		c.err = err
	}
	return n, err
}
