// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"

	"github.com/protoloop/protoloop/internal/view"
)

func runProfile(ctx context.Context, c *command) error {
	switch c.kind {
	case view.CPUProfile, view.HeapProfile, view.GoroutineDump:
		return c.capture(ctx, c.kind)
	}
	return &usageError{fmt.Sprintf("profile: -kind %s is none of cpu, heap and goroutines", c.kind)}
}

func runRecord(ctx context.Context, c *command) error { return c.capture(ctx, view.FlightRecording) }

// fileName is what a console calls a file.
var fileName = regexp.MustCompile(`^[a-z]+-[0-9]+-[0-9TZ]+\.(pb\.gz|trace)$`)

// capture has the console make a capture and writes it to a file.
func (c *command) capture(ctx context.Context, kind string) error {
	res, err := c.client.do(ctx, http.MethodPost, "api/act/capture", nil, view.Target{Kind: kind})
	if err != nil {
		return err
	}
	var done view.Done
	err = json.NewDecoder(res.Body).Decode(&done)
	res.Body.Close()
	if err != nil || done.Capture == nil {
		return fmt.Errorf("%s is a console of another version: %w", c.client.what, errors.Join(err, errors.New("it names no capture")))
	}
	if res, err = c.client.do(ctx, http.MethodGet, "api/capture", url.Values{"id": {done.Capture.ID}}, nil); err != nil {
		return err
	}
	defer res.Body.Close()
	name := c.file
	if name == "" {
		name = done.Capture.File
		if !fileName.MatchString(name) { // it is not to choose a file that something else reads, such as .profile
			return fmt.Errorf("%s calls the file %q: name it with -o", c.client.what, name)
		}
	}
	n, err := writeFile(name, res.Body)
	if err != nil {
		return err
	}
	open := view.OpenCapture(kind, name)
	if c.json {
		return json.NewEncoder(c.out).Encode(map[string]any{"file": name, "bytes": n, "open": open})
	}
	fmt.Fprintf(c.out, "%s (%d bytes): %s\n", clean(name), n, clean(open))
	return nil
}

// writeFile writes a new file, whole or not at all.
func writeFile(name string, from io.Reader) (n int64, err error) {
	if _, err := os.Lstat(name); err == nil {
		return 0, fmt.Errorf("%s is there: name another file with -o", name)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".protoloop-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name()) // unless it has its name
	if n, err = io.Copy(f, from); err == nil {
		err = f.Close()
	} else {
		f.Close()
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return n, os.Link(f.Name(), name)
}
