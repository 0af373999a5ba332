// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/protoloop/protoloop/internal/view"
)

// client asks one console.
type client struct {
	what  string // as it is named in errors: "process 4711"
	base  string // URL of the console, ending with a slash
	token string
	http  *http.Client
}

// answerWithin is how long an answer may take: the console has a second.
const answerWithin = 10 * time.Second

// maxAnswer is how long an answer may be, in bytes. A console's are some 100 KB.
const maxAnswer = 64 << 20

// findTarget is the client of what the command line names.
func findTarget(ctx context.Context, target string, env func(string) string) (*client, error) {
	token, err := tokenOf(env)
	if err != nil {
		return nil, err
	}
	switch pid, err := strconv.Atoi(target); {
	case target == "":
		return findOnly(ctx, token)
	case err == nil && pid > 0:
		return findProcess(ctx, pid, token)
	case strings.HasPrefix(target, "http://"), strings.HasPrefix(target, "https://"):
		return findURL(target, token)
	case strings.HasPrefix(target, "unix:"):
		return socketClient(strings.TrimPrefix(target, "unix:"), target, token), nil
	}
	switch info, err := os.Stat(target); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &usageError{fmt.Sprintf("%q is no process id, no socket and no URL", target)}
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSocket == 0:
		return nil, &usageError{target + " is a file and no socket"}
	}
	return socketClient(target, target, token), nil
}

// tokenOf is the token of the environment: the arguments of a process are for all to see.
func tokenOf(env func(string) string) (string, error) {
	if token := env("PROTOLOOP_TOKEN"); token != "" {
		return token, nil
	}
	file := env("PROTOLOOP_TOKEN_FILE")
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("PROTOLOOP_TOKEN_FILE: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func findURL(target, token string) (*client, error) {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return nil, &usageError{fmt.Sprintf("%q is no URL with a host", target)}
	}
	u.RawQuery, u.Fragment = "", ""
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return &client{what: target, base: u.String(), token: token, http: &http.Client{CheckRedirect: stay}}, nil
}

// stay has no redirect followed, which would take the token elsewhere.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func socketClient(path, what, token string) *client {
	var dialer net.Dialer
	return &client{what: what, base: "http://localhost/", token: token, http: &http.Client{
		CheckRedirect: stay,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}},
	}}
}

// socketsOf are the sockets of the consoles of a process, its first one first; of all for 0.
func socketsOf(pid int) []string {
	pattern := "*.sock"
	if pid != 0 {
		pattern = strconv.Itoa(pid) + "*.sock"
	}
	paths, _ := filepath.Glob(filepath.Join(view.SocketDir(), pattern)) // the pattern is good
	return slices.DeleteFunc(paths, func(path string) bool { return pid != 0 && pidOf(path) != pid })
}

// pidOf is the process that a socket is of; 0: its name does not say.
func pidOf(path string) int {
	name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".sock"), "-")
	pid, err := strconv.Atoi(name)
	if err != nil {
		return 0
	}
	return pid
}

func findProcess(ctx context.Context, pid int, token string) (*client, error) {
	what := fmt.Sprintf("process %d", pid)
	paths := socketsOf(pid)
	slices.SortFunc(paths, func(a, b string) int { return len(a) - len(b) })
	for _, path := range paths {
		c := socketClient(path, what, token)
		if c.reaches(ctx) {
			return c, nil
		}
	}
	switch err := syscall.Kill(pid, 0); {
	case errors.Is(err, syscall.ESRCH):
		return nil, fmt.Errorf("there is no process %d", pid)
	case errors.Is(err, syscall.EPERM):
		return nil, fmt.Errorf("process %d is another user's: only that user, or root with its XDG_RUNTIME_DIR, can look into it", pid)
	case len(paths) > 0:
		return nil, fmt.Errorf("nobody answers at %s, though process %d is there", strings.Join(paths, ", "), pid)
	}
	return nil, fmt.Errorf("process %d has no console that listens in %s: see console.New, or give the URL of one that listens on TCP", pid, view.SocketDir())
}

// findOnly is the only process that has a console.
func findOnly(ctx context.Context, token string) (*client, error) {
	type found struct {
		pid    int
		client *client
	}
	var all []found
	for _, path := range socketsOf(0) {
		pid := pidOf(path)
		if pid == 0 || slices.ContainsFunc(all, func(f found) bool { return f.pid == pid }) {
			continue
		}
		if c := socketClient(path, fmt.Sprintf("process %d", pid), token); c.reaches(ctx) {
			all = append(all, found{pid, c})
		}
	}
	switch len(all) {
	case 0:
		return nil, fmt.Errorf("no process of this user has a console that listens in %s: see console.New, or give the URL of one that listens on TCP", view.SocketDir())
	case 1:
		return all[0].client, nil
	}
	var lines []string
	for _, f := range all {
		var about view.About
		if _, err := f.client.get(ctx, "about", nil, &about); err != nil {
			lines = append(lines, fmt.Sprintf("  %d", f.pid))
			continue
		}
		lines = append(lines, fmt.Sprintf("  %d  %s, since %s", f.pid, clean(about.Command), about.Started.Local().Format(time.DateTime)))
	}
	return nil, &usageError{"which process? These have a console:\n" + strings.Join(lines, "\n")}
}

// reaches reports whether somebody answers.
func (c *client) reaches(ctx context.Context) bool {
	_, err := c.get(ctx, "about", nil, new(view.About))
	var refused *refusal
	return err == nil || errors.As(err, &refused)
}

// refusal is an answer of the console that is none.
type refusal struct {
	what string
	code int
	text string
}

func (e *refusal) Error() string {
	switch e.code {
	case http.StatusUnauthorized:
		return fmt.Sprintf("%s wants a token: set PROTOLOOP_TOKEN or PROTOLOOP_TOKEN_FILE", e.what)
	case http.StatusNotFound:
		if e.text == "" {
			return e.what + " is no console, or one of another version"
		}
	}
	if e.text == "" {
		e.text = http.StatusText(e.code)
	}
	return fmt.Sprintf("%s: %s", e.what, e.text)
}

// answer is a view.Answer whose View is yet to be read.
type answer struct {
	view.Answer
	View json.RawMessage `json:"view"`
}

// get asks for a page and reads its view into v. The text is the answer as it came.
func (c *client) get(ctx context.Context, page string, query url.Values, v any) (text []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	res, err := c.do(ctx, http.MethodGet, "api/"+page, query, nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if text, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1)); err != nil {
		return nil, fmt.Errorf("%s: %w", c.what, err)
	}
	if len(text) > maxAnswer {
		return nil, fmt.Errorf("%s is no console: its answer has more than %d MB", c.what, maxAnswer>>20)
	}
	return bytes.TrimSpace(text), c.parse(page, text, v)
}

func (c *client) parse(page string, text []byte, v any) error {
	var a answer
	err := json.Unmarshal(text, &a)
	if err == nil {
		err = json.Unmarshal(a.View, v)
	}
	if err == nil && a.Page != page {
		err = fmt.Errorf("it answers with the page %q", a.Page)
	}
	if err != nil {
		return fmt.Errorf("%s is no console, or one of another version: %w", c.what, err)
	}
	return nil
}

// ageOf says how old what an answer shows is, if that is more than a second; else it is empty.
func ageOf(text []byte) string {
	var a view.Answer
	if err := json.Unmarshal(text, &a); err != nil || a.Age < 1 {
		return ""
	}
	return "seen " + span(a.Age) + " ago"
}

// do sends a request. Whoever calls it closes the body.
func (c *client) do(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	to := c.base + path
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, to, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	var problem view.Problem
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16)) // it says what is wrong, or does not
	_ = json.Unmarshal(text, &problem)
	return nil, &refusal{c.what, res.StatusCode, clean(problem.Error)}
}

// unreachable says what an error of the connection means.
func (c *client) unreachable(err error) error {
	var where *url.Error
	if errors.As(err, &where) {
		err = where.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s does not answer within %v", c.what, answerWithin)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s is another user's: %w", c.what, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens at %s: %w", c.what, err)
	}
	return fmt.Errorf("%s: %w", c.what, err)
}
