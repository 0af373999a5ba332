// SPDX-License-Identifier: Apache-2.0

package view

import (
	"strings"
	"time"
)

// The kinds of captures.
const (
	CPUProfile      = "cpu"
	FlightRecording = "recording"
	GoroutineDump   = "goroutines"
	HeapProfile     = "heap"
)

// OpenCapture is the command that shows the file of a capture, to be pasted into a shell.
func OpenCapture(kind, file string) string {
	if strings.HasPrefix(file, "-") {
		file = "./" + file // or it would be a flag
	}
	if strings.ContainsFunc(file, func(r rune) bool {
		return !strings.ContainsRune("/._-+@%=:,", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		file = "'" + strings.ReplaceAll(file, "'", `'\''`) + "'"
	}
	if kind == FlightRecording {
		return "go tool trace " + file
	}
	return "go tool pprof -http=: " + file
}

// Captures are the profiles and recordings that are kept.
type Captures struct {
	Running  *Capture      `json:"running,omitempty"`
	Kept     []Capture     `json:"kept"`  // the newest first
	Kinds    []CaptureKind `json:"kinds"` // that can be made
	Recorder RecorderState `json:"recorder"`
}

// CaptureKind is one that can be made.
type CaptureKind struct {
	Kind string  `json:"kind"`
	What string  `json:"what"`
	Took float64 `json:"takes_s"`
	Why  string  `json:"why_not,omitempty"` // it cannot be made now
}

// Capture is a file to download: GET api/capture?id=ID.
type Capture struct {
	ID    string    `json:"id"`
	Kind  string    `json:"kind"`
	File  string    `json:"file"` // name for the download
	Open  string    `json:"open"` // the command that shows it
	At    time.Time `json:"at"`   // it began
	Took  float64   `json:"took_s"`
	Bytes int       `json:"bytes"`
	Why   string    `json:"why,omitempty"` // "asked by …", "blocked turn of list: add item"
	Error string    `json:"error,omitempty"`
}

// RecorderState is the flight recorder's.
type RecorderState struct {
	On     bool    `json:"on"`
	Window float64 `json:"window_s"`
	Why    string  `json:"why,omitempty"` // it is off
}

// Stacks is the goroutines of the process, grouped by their stacks.
type Stacks struct {
	Goroutines int     `json:"goroutines"`
	Groups     []Stack `json:"groups"` // largest first; 200 at most
	More       int     `json:"more"`   // goroutines of other groups
}

// Stack is goroutines that stand at the same place.
type Stack struct {
	N      int               `json:"n"`
	Line   string            `json:"line"` // of the user's code, or of the first frame
	Labels map[string]string `json:"labels,omitempty"`
	Frames []string          `json:"frames"` // "package.Func file.go:12", the innermost first
}
