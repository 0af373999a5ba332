// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// childFlag makes this program one of the others that a case needs: a hub, a node, a server. It is not for users.
const childFlag = "child-process"

// child is what such a process is: one of these.
type child struct {
	Hub    *hubChild
	Node   *nodeChild
	Remote *remoteChild
	Server *serverChild
	Topic  *topicChild
}

// run starts what the child is, and returns what its parent needs to know of it.
func (c child) run() (says string, err error) {
	switch {
	case c.Hub != nil:
		return "", c.Hub.run()
	case c.Node != nil:
		return "", c.Node.run()
	case c.Remote != nil:
		return c.Remote.run()
	case c.Server != nil:
		return "", c.Server.run()
	case c.Topic != nil:
		return "", c.Topic.run()
	}
	return "", fmt.Errorf("it is not said what to be")
}

// runChild is a child until its parent has ended, in whatever way.
func runChild(what string, stdin io.Reader, stdout io.Writer) error {
	var c child
	if err := json.Unmarshal([]byte(what), &c); err != nil {
		return err
	}
	says, err := c.run()
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "ready", says)
	_, _ = io.Copy(io.Discard, stdin)
	return nil
}

// start starts a child, which is killed when the measurement is over. It is ready when ready has returned.
func (e *env) start(c child) (ready func() (says string, err error), err error) {
	what, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "-"+childFlag, string(what))
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // it ends with this process, if not before
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	e.children = append(e.children, cmd.Process.Pid)
	e.onClose(func() error {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		return nil
	})
	return func() (string, error) {
		line, err := bufio.NewReader(stdout).ReadString('\n')
		says, is := strings.CutPrefix(line, "ready ")
		if !is {
			return "", fmt.Errorf("a process has not started: it says %q: %w", line, err)
		}
		return strings.TrimSpace(says), nil
	}, nil
}

// startAll starts children side by side, and returns what they say when all are ready.
func (e *env) startAll(cs ...child) (says []string, err error) {
	var ready []func() (string, error)
	for _, c := range cs {
		r, err := e.start(c)
		if err != nil {
			return nil, err
		}
		ready = append(ready, r)
	}
	for _, r := range ready {
		s, err := r()
		if err != nil {
			return nil, err
		}
		says = append(says, s)
	}
	return says, nil
}

// tempDir is a folder that is removed when the measurement is over.
func (e *env) tempDir() (string, error) {
	dir, err := os.MkdirTemp("", "protoloop-bench")
	if err == nil {
		e.onClose(func() error { return os.RemoveAll(dir) })
	}
	return dir, err
}

// childrenTime is the processor time that the children have used. Only Linux tells.
func (e *env) childrenTime() (total time.Duration) {
	for _, pid := range e.children {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			continue
		}
		// The name of the program, in parentheses, may have spaces. User and system time are the 12th and 13th field behind it.
		_, rest, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(rest); len(f) > 12 {
			user, _ := strconv.ParseInt(f[11], 10, 64)
			system, _ := strconv.ParseInt(f[12], 10, 64)
			total += time.Duration(user+system) * time.Second / ticksPerSecond
		}
	}
	return total
}
