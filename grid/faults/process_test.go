// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one incarnation of a host's program.
type process struct {
	host  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string   // what it has written to its output
	ended chan struct{} // closed when it has
}

// spawn starts a program in the namespace of a host. What it logs goes to a file of the host.
func (c *cluster) spawn(host, path string, env []string, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(c.dir, host+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	p := &process{host: host, cmd: exec.Command(path, args...), lines: make(chan string, 100), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.launcher.in(c.namespace(host), p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", host, err)
	}
	fmt.Fprintf(log, "\n== process %d, at %v\n", p.cmd.Process.Pid, now())
	go func() {
		defer close(p.ended)
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if line = strings.TrimSpace(line); line != "" {
				p.lines <- line
			}
			if err != nil {
				break
			}
		}
		close(p.lines)
		_ = p.cmd.Wait() // how it has ended is in its state
	}()
	return p, nil
}

// line is the next line that the process writes.
func (p *process) line() (string, error) {
	line, ok := <-p.lines
	if !ok {
		<-p.ended
		return "", fmt.Errorf("%s has ended: %v", p.host, p.cmd.ProcessState)
	}
	return line, nil
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) } // it may have ended

// end kills the process, unless it has ended.
func (p *process) end() {
	p.signal(syscall.SIGKILL)
	p.drainLines()
	<-p.ended
}

// drainLines drops what the process still writes.
func (p *process) drainLines() {
	go func() {
		for range p.lines {
		}
	}()
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// request has a child do something, and reads its answer.
func (p *process) request(what command, answer any) error {
	if err := json.NewEncoder(p.stdin).Encode(what); err != nil {
		return fmt.Errorf("%s: %w", p.host, err)
	}
	line, err := p.line()
	if err != nil {
		return err
	}
	var said struct {
		Err    string
		Answer json.RawMessage
	}
	if err := json.Unmarshal([]byte(line), &said); err != nil {
		return fmt.Errorf("%s says %q: %w", p.host, line, err)
	}
	if said.Err != "" {
		return fmt.Errorf("%s: %w", p.host, errors.New(said.Err))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(said.Answer, answer)
}

// program is a host's, over all its incarnations.
type program struct {
	host  string
	start func() (*process, error) // the next incarnation, which is ready

	mu      sync.Mutex
	current *process
	meant   bool // to have ended
}

// run starts the program.
func (g *program) run() error {
	p, err := g.start()
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.current, g.meant = p, false
	return nil
}

// process is the current one.
func (g *program) process() *process {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.current
}

// mayEnd says that the process is about to end, or may end by itself, until it is run again.
func (g *program) mayEnd(may bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.meant = may
}

// diedItself reports whether the process has ended, and was not meant to.
func (g *program) diedItself() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.meant && g.current != nil && g.current.hasEnded()
}

// kill is kill -9.
func (g *program) kill() {
	g.mayEnd(true)
	g.process().end()
}

// stop is SIGTERM, and waits for the end.
func (g *program) stop() {
	g.mayEnd(true)
	p := g.process()
	p.signal(syscall.SIGTERM)
	p.drainLines()
	<-p.ended
}

// now is the time since the machine has started, which is the same in all processes.
func now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}
