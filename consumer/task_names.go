// SPDX-License-Identifier: Apache-2.0

package consumer

import (
	"sync"

	"github.com/protoloop/protoloop/actors"
)

// maxKinds is how many kinds of messages have names of their own.
const maxKinds = 64

// taskNames tracks the names of tasks of a consumer: as few as there are kinds of messages,
// so that a table, a profile or a metric can go by them. Any goroutine.
type taskNames struct {
	name string // of the consumer
	kind func(m Message) string

	mu     sync.RWMutex
	byKind map[string]*handlerNames
	other  handlerNames // of a kind that there is no room for
}

// handlerNames are those of a handler's tasks.
type handlerNames struct {
	task         string
	named, probe actors.CallOption
}

func newTaskNames(o *Options) *taskNames {
	n := &taskNames{name: o.Name, kind: o.Kind, byKind: map[string]*handlerNames{}}
	n.other = n.handlerNames("(other)")
	return n
}

// of is the name of a task of the consumer's own.
func (n *taskNames) of(what string) string { return n.name + ": " + what }

func (n *taskNames) handlerNames(kind string) handlerNames {
	text := "message"
	if kind != "" {
		text += " " + kind
	}
	return handlerNames{task: n.of(text), named: actors.Name(n.of(text)), probe: actors.Name(n.of("probe: " + text))}
}

// forMessage are the names of the task that handles a message.
func (n *taskNames) forMessage(m *Message) *handlerNames {
	kind := n.kindOf(m)
	n.mu.RLock()
	names := n.byKind[kind]
	n.mu.RUnlock()
	if names != nil {
		return names
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if names = n.byKind[kind]; names != nil {
		return names
	}
	if len(n.byKind) >= maxKinds {
		return &n.other
	}
	made := n.handlerNames(kind)
	n.byKind[kind] = &made
	return &made
}

// kindOf is the kind of a message; a function of the user's that panics has none to tell.
func (n *taskNames) kindOf(m *Message) (kind string) {
	if n.kind == nil {
		return ""
	}
	defer func() {
		if recover() != nil {
			kind = "(unknown)"
		}
	}()
	return Printable(n.kind(*m), 64)
}
