// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed reference.cjs
var referenceApp []byte

// process is a server or a generator.
type process struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	addr string
}

func start(cmd *exec.Cmd) (*process, error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, out: bufio.NewReader(out)}, nil
}

// rivals are the folders of the other servers' apps, or "" for none.
type rivals struct{ reference, zishang string }

// buildZishang builds that app, which is a module of its own, and returns the
// program.
func buildZishang(dir string) (string, error) {
	binary := filepath.Join(os.TempDir(), fmt.Sprintf("load-zishang-%d", os.Getpid()))
	cmd := exec.Command("go", "build", "-C", dir, "-o", binary, ".")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("building %s: %w", dir, err)
	}
	return binary, nil
}

// startServer starts a server and waits until it listens.
func startServer(name string, r rivals) (*process, error) {
	var cmd *exec.Cmd
	switch name {
	case "reference":
		dir, err := filepath.Abs(r.reference)
		if err != nil {
			return nil, err
		}
		// From standard input, so that modules are looked for in the folder.
		cmd = exec.Command("node", "--input-type=commonjs", "-")
		cmd.Dir = dir
		cmd.Stdin = bytes.NewReader(referenceApp)
	case "zishang520":
		cmd = exec.Command(r.zishang)
	default:
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cmd = exec.Command(self, "-role", "serve")
	}
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	if p.addr, err = p.line(); err != nil {
		p.stop()
		return nil, fmt.Errorf("the server did not start: %w", err)
	}
	return p, nil
}

func startGenerator(addr, measure, clients, hold string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(exec.Command(self, "-role", "generate", "-addr", addr, "-measure", measure, "-clients", clients, "-hold", hold))
}

// line returns the next line of the output.
func (p *process) line() (string, error) {
	s, err := p.out.ReadString('\n')
	if errors.Is(err, io.EOF) {
		return "", errors.New("the process has ended")
	}
	return strings.TrimSpace(s), err
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// usage is what a process has used.
type usage struct {
	cpu time.Duration // user and system
	rss int64         // bytes, now
}

// clockTick is the unit of /proc's CPU times: USER_HZ, which is 100 wherever
// Linux runs Go.
const clockTick = 10 * time.Millisecond

func (p *process) usage() (u usage) {
	dir := "/proc/" + strconv.Itoa(p.cmd.Process.Pid)
	stat, _ := os.ReadFile(dir + "/stat")
	if _, behind, ok := strings.Cut(string(stat), ") "); ok {
		f := strings.Fields(behind)
		user, _ := strconv.Atoi(f[11])
		system, _ := strconv.Atoi(f[12])
		u.cpu = time.Duration(user+system) * clockTick
	}
	statm, _ := os.ReadFile(dir + "/statm")
	if f := strings.Fields(string(statm)); len(f) > 1 {
		pages, _ := strconv.ParseInt(f[1], 10, 64)
		u.rss = pages * int64(os.Getpagesize())
	}
	return u
}
