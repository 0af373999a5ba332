// SPDX-License-Identifier: Apache-2.0

package remind

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/protoloop/protoloop/consumer"
)

// Store keeps an [Entry] for each reminder. Any goroutine may call its methods, and those of several
// programs at a time.
type Store interface {
	// Set stores e in the place of the entry that has its Key, and returns when it will not be
	// lost. What is due of the one before is not delivered any more.
	Set(ctx context.Context, e Entry) error
	// Cancel removes an entry, and reports whether there was one.
	Cancel(ctx context.Context, k Key) (bool, error)
	// List is all entries of a key, by name. One that is due is among them until it is done.
	List(ctx context.Context, kind, id string) ([]Entry, error)
	// Open is a [consumer.Open]: its source has the entries that are due, each in the Body of
	// a message. Ack and DeadLetter of the source also end an entry that is due once, and
	// have one that repeats due at its [Entry.Next]; unless it was cancelled or replaced since.
	Open(ctx context.Context) (consumer.Source, error)
	// Stands reports whether a message of such a source is to be delivered: its entry was not
	// cancelled, replaced or done since.
	Stands(ctx context.Context, m consumer.Message) (bool, error)
}

// Key is what a reminder is known by.
type Key struct {
	Kind, ID string // of the grid's key
	Name     string // of the reminder
}

// String has slashes between the parts.
func (k Key) String() string { return k.Kind + "/" + k.ID + "/" + k.Name }

// findMistake is why it can be no reminder's, or empty.
func (k Key) findMistake() (field, why string) {
	for _, f := range []struct{ field, v string }{{"Kind", k.Kind}, {"ID", k.ID}, {"Name", k.Name}} {
		if f.v == "" {
			return f.field, "is missing"
		}
	}
	if strings.Contains(k.Kind, "/") {
		return "Kind", "has a slash, which no kind has"
	}
	return "", ""
}

// Entry is a reminder as it is stored.
type Entry struct {
	Key
	At    time.Time     // when it is due next, in UTC
	Every time.Duration // 0: it is due once
	Type  string        // the full name of the message's type
	Data  []byte        // the message, in protobuf's wire format
}

// Next is an entry after it was due and is done at now: due at the first of its instants behind
// now. false: it is due no more.
func (e Entry) Next(now time.Time) (Entry, bool) {
	if e.Every <= 0 {
		return e, false
	}
	missed := max(now.Sub(e.At)/e.Every, 0)
	for e.At = e.At.Add(missed * e.Every); !e.At.After(now) || missed == 0; missed++ {
		e.At = e.At.Add(e.Every)
	}
	return e, true
}

// message is what is sent to the worker.
func (e Entry) message() (proto.Message, error) {
	typ, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(e.Type))
	if err != nil {
		return nil, fmt.Errorf("remind: this program does not know the message %q of %s: %w", e.Type, e.Key, err)
	}
	m := typ.New().Interface()
	if err := proto.Unmarshal(e.Data, m); err != nil {
		return nil, consumer.Poison(fmt.Errorf("remind: the message of %s is no %s: %w", e.Key, e.Type, err))
	}
	return m, nil
}

// entryVersion is the first byte of what AppendBinary writes.
const entryVersion = 1

// AppendBinary appends e to b, for stores.
func (e Entry) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, entryVersion)
	b = binary.AppendVarint(b, e.At.UnixNano())
	b = binary.AppendVarint(b, int64(e.Every))
	for _, s := range []string{e.Kind, e.ID, e.Name, e.Type, string(e.Data)} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b, nil
}

var errNoEntry = errors.New("remind: this is no entry")

// UnmarshalBinary reads what AppendBinary has written.
func (e *Entry) UnmarshalBinary(b []byte) error {
	if len(b) == 0 || b[0] != entryVersion {
		return errNoEntry
	}
	b = b[1:]
	var numbers [2]int64
	for i := range numbers {
		v, n := binary.Varint(b)
		if n <= 0 {
			return errNoEntry
		}
		numbers[i], b = v, b[n:]
	}
	var parts [5]string
	for i := range parts {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > uint64(len(b)-n) {
			return errNoEntry
		}
		parts[i], b = string(b[n:n+int(v)]), b[n+int(v):]
	}
	got := Entry{
		Key: Key{parts[0], parts[1], parts[2]}, At: time.Unix(0, numbers[0]).UTC(), Every: time.Duration(numbers[1]),
		Type: parts[3], Data: []byte(parts[4]),
	}
	if field, _ := got.findMistake(); len(b) > 0 || field != "" || got.Every < 0 {
		return errNoEntry
	}
	*e = got
	return nil
}

// EntryOf is the entry of a message of a store's source.
func EntryOf(m consumer.Message) (e Entry, err error) {
	return e, e.UnmarshalBinary(m.Body)
}

// sortEntries sorts by name.
func sortEntries(all []Entry) {
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
}
