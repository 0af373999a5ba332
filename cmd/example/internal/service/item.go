// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Item is an entry of the list, and the body of a message in the queue.
type Item struct {
	// Key is the item's identity: an item that comes twice is one item. In the
	// queue it may be empty; then the message's own key is the item's.
	Key string `json:"key"`
	// Text is what people see, from 1 to maxText characters in one line.
	Text string `json:"text"`
	// Seq is the item's place in the log: the list is ordered by it. It is none
	// of a message's.
	Seq uint64 `json:"seq,omitempty"`
}

// bytes is what the item takes, about: its texts, and what is beside them.
func (i Item) bytes() int { return len(i.Key) + len(i.Text) + itemBytes }

const itemBytes = 256 // beside its texts

const (
	maxKey  = 128 // bytes
	maxText = 500 // characters
)

// checked returns the item with its text trimmed, or what is wrong with it.
func (i Item) checked() (Item, error) {
	i.Text = strings.TrimSpace(i.Text)
	switch n := utf8.RuneCountInString(i.Text); {
	case i.Key == "" || len(i.Key) > maxKey || !graphic(i.Key):
		return i, fmt.Errorf("key: it must have 1 to %d bytes of printable text", maxKey)
	case n == 0:
		return i, errors.New("text: there is none")
	case n > maxText:
		return i, fmt.Errorf("text: it has %d characters, %d are allowed", n, maxText)
	case !graphic(i.Text):
		return i, errors.New("text: it has characters that cannot be shown")
	}
	return i, nil
}

func graphic(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
