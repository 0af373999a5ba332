// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// What a key is asked for. A key of the kind "register" has a number, and one of the kind "list" a list of names.
const (
	opRead   = "read"
	opWrite  = "write"
	opCAS    = "cas" // write Value if the number is Old
	opAppend = "append"
	opList   = "list"
)

// op is what a key is asked for.
type op struct {
	Do         string
	Value, Old int64  `json:",omitempty"`
	Name       string `json:",omitempty"` // what is appended
	Once       bool   `json:",omitempty"` // append it only if it is not there: the ask may be made again
}

// result is what a key answers.
type result struct {
	Value   int64    `json:",omitempty"`
	Swapped bool     `json:",omitempty"`
	Names   []string `json:",omitempty"`
}

// How an ask has ended.
const (
	answered = "answered"
	unknown  = "unknown" // it may have run
	never    = "never"   // it has never run, as the asker was told
)

// ask is one ask of the history.
type ask struct {
	Asker      string
	Kind, Key  string
	Op         op
	Budget     time.Duration
	Idempotent bool          `json:",omitempty"`
	Begun      time.Duration // since the machine has started, as all times are
	Ended      time.Duration
	Held       time.Duration // for how long the asker's process did not run meanwhile
	Outcome    string
	Err        string `json:",omitempty"`
	Result     result
}

// effect is one use of a token by a handler, which has asked for it between two times.
type effect struct {
	Node        string
	Shard       int
	Rev         uint64
	Before      time.Duration
	After       time.Duration
	Incarnation int // of the process
}

// put is a value that a handler has stored in etcd by its token, in the order in which etcd has stored them.
type put struct {
	Shard    int
	Rev      uint64
	Revision int64
}

// journal is a file with a value in each line.
type journal struct{ f *os.File }

func openJournal(dir, name string) (*journal, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return &journal{f}, err
}

// write writes a value at once, so that it is there when the process is killed then.
func (j *journal) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = j.f.Write(append(b, '\n'))
	return err
}

// countLines is how many values the journals of a name have.
func (c *cluster) countLines(pattern string) (n int) {
	names, _ := filepath.Glob(filepath.Join(c.dir, pattern)) // the pattern is right
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			c.t.Error(err)
		}
		n += bytes.Count(b, []byte{'\n'})
	}
	return n
}

// readJournals reads all files whose names match. The last line of one may not be whole.
func readJournals[T any](dir, pattern string) (all []T, err error) {
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		for d := json.NewDecoder(f); ; {
			var v T
			err := d.Decode(&v)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err != nil {
				f.Close()
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			all = append(all, v)
		}
		f.Close()
	}
	return all, nil
}
