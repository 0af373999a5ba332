// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"cmp"
	"fmt"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"

	"github.com/protoloop/protoloop/internal/view"
)

// The bounds of stacks.
const (
	maxStacks = 200
	maxFrames = 64
)

// stackLook is a look at all goroutines.
type stackLook struct {
	view *view.Stacks
	err  error
}

// stacks groups the goroutines of the process by where they stand.
func stacks() stackLook {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return stackLook{err: err}
	}
	return stackLook{view: parseStacks(b.String())}
}

// parseStacks reads what package pprof writes: for each group a line with its number, perhaps one with its
// labels, and its frames, as
//
//	3 @ 0x43c2ee 0x40889b
//	# labels: {"protoloop.kind":"list"}
//	#	0x4a1c36	main.work+0x56	/src/main.go:12
func parseStacks(text string) *view.Stacks {
	v := &view.Stacks{Groups: []view.Stack{}}
	var one *view.Stack
	all := []*view.Stack{}
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case strings.HasPrefix(line, "# labels: {"):
			if one != nil {
				one.Labels = parseLabels(strings.TrimPrefix(line, "# labels: "))
			}
		case strings.HasPrefix(line, "#\t"):
			if one != nil && len(one.Frames) < maxFrames {
				addFrame(one, line)
			}
		default:
			number, _, is := strings.Cut(line, " @ ")
			n, err := strconv.Atoi(number)
			if !is || err != nil {
				one = nil
				continue
			}
			one = &view.Stack{N: n, Frames: []string{}}
			all = append(all, one)
			v.Goroutines += n
		}
	}
	all = joined(all)
	slices.SortStableFunc(all, func(a, b *view.Stack) int { return cmp.Compare(b.N, a.N) })
	for i, g := range all {
		if i >= maxStacks {
			v.More += g.N
			continue
		}
		if g.Line == "" && len(g.Frames) > 0 {
			g.Line = g.Frames[0]
		}
		v.Groups = append(v.Groups, *g)
	}
	return v
}

// joined has those as one that differ only in what is not shown: in which instruction of a line they are.
func joined(all []*view.Stack) []*view.Stack {
	by := map[string]*view.Stack{}
	return slices.DeleteFunc(all, func(g *view.Stack) bool {
		key := fmt.Sprint(g.Labels, g.Frames)
		if of := by[key]; of != nil {
			of.N += g.N
			return true
		}
		by[key] = g
		return false
	})
}

// The frames at the base of a coroutine, of which each has others of some thousands: they are how coroutines are told apart.
const (
	loopPackage = "github.com/protoloop/protoloop/internal/loop."
	tagFrames   = loopPackage + "tagFrames"
	tagLowFrame = loopPackage + "tagLowFrame"
)

// addFrame adds that of a line.
func addFrame(to *view.Stack, line string) {
	fields := strings.Fields(line)
	if len(fields) < 4 {
		return
	}
	// A function's name may have blanks, in the types that it is made for.
	name := strings.Join(fields[2:len(fields)-1], " ")
	if i := strings.LastIndex(name, "+0x"); i > 0 {
		name = name[:i]
	}
	if strings.HasPrefix(name, tagFrames) || strings.HasPrefix(name, tagLowFrame) {
		return
	}
	frame, library := view.FrameOf(name, fields[len(fields)-1])
	to.Frames = append(to.Frames, frame)
	if !library && to.Line == "" {
		to.Line = frame
	}
}

// parseLabels reads {"a":"b", "c":"d"}, as package pprof writes it.
func parseLabels(text string) map[string]string {
	labels := map[string]string{}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "{"), "}")
	for text != "" {
		var key, value string
		var err error
		if key, text, err = unquote(text); err != nil {
			break
		}
		if value, text, err = unquote(strings.TrimPrefix(text, ":")); err != nil {
			break
		}
		labels[key] = value
		text = strings.TrimPrefix(text, ", ")
	}
	return labels
}

func unquote(text string) (word, rest string, err error) {
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", text, fmt.Errorf("no label in %q", text)
	}
	word, err = strconv.Unquote(quoted)
	return word, text[len(quoted):], err
}
