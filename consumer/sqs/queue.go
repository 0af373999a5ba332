// SPDX-License-Identifier: Apache-2.0

package sqs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
)

// Names of the message attributes that SQS has no field for.
const (
	KeyAttribute   = "Idempotency-Key"
	GroupAttribute = "Message-Group"
)

// Names of SQS's own attributes of a message begin so: no other ones may.
const (
	systemPrefix   = "AWS."
	traceAttribute = systemPrefix + string(types.MessageSystemAttributeNameAWSTraceHeader) // the only one that is sent
)

// Options of a queue. Only URL is required.
type Options struct {
	// URL of the queue.
	URL string
	// Lease is for how long a received message is hidden from others, in whole
	// seconds, from 1 s to 12 h: SQS's visibility timeout. 0: 30 s.
	Lease time.Duration
	// DeadLetters is the URL of the queue of dead letters. Empty: there is none.
	DeadLetters string
	// Wait is the long poll of Receive, in whole seconds, at most 20 s. 0: 20 s.
	Wait time.Duration
}

// maxLease is the longest that SQS hides a message.
const maxLease = 12 * time.Hour

// Queue is a queue in SQS. Its methods may be called on any goroutine.
type Queue struct {
	client *sqs.Client
	o      Options
}

// New returns a queue. It asks the service for nothing. Options that cannot be meant are
// all in one error, each an [*actors.OptionError].
func New(client *sqs.Client, o Options) (*Queue, error) {
	o.Lease = cmp.Or(o.Lease, 30*time.Second)
	o.Wait = cmp.Or(o.Wait, 20*time.Second)
	var errs []error
	bad := func(field string, value any, why string) {
		errs = append(errs, &actors.OptionError{Of: "sqs: New", Field: field, Value: value, Why: why})
	}
	if client == nil {
		bad("client", nil, "is missing")
	}
	if o.URL == "" {
		bad("Options.URL", nil, "is missing")
	}
	if o.Lease < time.Second || o.Lease > maxLease {
		bad("Options.Lease", o.Lease, "is not from 1 s to 12 h")
	}
	if o.Wait < time.Second || o.Wait > 20*time.Second {
		bad("Options.Wait", o.Wait, "is not from 1 s to 20 s")
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	o.Lease, o.Wait = o.Lease.Truncate(time.Second), o.Wait.Truncate(time.Second)
	return &Queue{withPlainBodies(client), o}, nil
}

// Open opens a source. It is a consumer.Open. It asks for the queue's
// attributes, so that a wrong URL or missing rights are told at once.
func (q *Queue) Open(ctx context.Context) (consumer.Source, error) {
	for _, url := range []string{q.o.URL, q.o.DeadLetters} {
		if url == "" {
			continue
		}
		_, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
		})
		if err != nil {
			return nil, fmt.Errorf("sqs: queue %s: %w", url, err)
		}
	}
	return &source{q: q}, nil
}

// Send puts messages into the queue. Of each, Body, Key, Group and Attributes
// count; one that was received can be sent as it is. A FIFO queue drops a message
// whose Key was sent within the last five minutes; one without a Key is never taken
// for another, nor is a dead letter that is sent back, and one without a Group is
// in the group "default".
//
// The error is a [*consumer.BatchError] about the messages that SQS has
// refused, or has not said that it has taken. A message whose Body, Key or Group is
// not valid UTF-8, or has control characters but tab and line ends, is not sent: SQS
// cannot hold it.
func (q *Queue) Send(ctx context.Context, ms ...consumer.Message) error {
	entries := make([]types.SendMessageBatchRequestEntry, len(ms))
	for i := range ms {
		m := &ms[i]
		dedup := m.Key
		if id := m.Attributes[consumer.AttrID]; id != "" { // its Key was sent with the message that has died
			dedup = "again:" + id
		}
		entries[i] = entry(q.o.URL, m, m.Attributes, m.Key, dedup)
	}
	errs := q.sendAll(ctx, q.o.URL, entries)
	return errs.Err()
}

func isFIFO(url string) bool { return strings.HasSuffix(url, ".fifo") }

// entry is m to be sent to a queue, with these attributes. dedup is what a FIFO queue
// tells doubles by. Its ID is set by sendAll.
func entry(url string, m *consumer.Message, attrs map[string]string, key, dedup string) types.SendMessageBatchRequestEntry {
	e := types.SendMessageBatchRequestEntry{MessageBody: aws.String(string(m.Body)), MessageAttributes: map[string]types.MessageAttributeValue{}}
	received, _ := m.Ref.(*ref)
	for k, v := range attrs {
		switch {
		case v == "": // SQS refuses it
		case k == traceAttribute:
			e.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
				string(types.MessageSystemAttributeNameForSendsAWSTraceHeader): {DataType: aws.String("String"), StringValue: aws.String(v)},
			}
		case strings.HasPrefix(k, systemPrefix): // SQS sets it
		default:
			e.MessageAttributes[k] = received.attribute(k, v)
		}
	}
	if key != "" {
		e.MessageAttributes[KeyAttribute] = received.attribute(KeyAttribute, key)
	}
	if !isFIFO(url) {
		if m.Group != "" {
			e.MessageAttributes[GroupAttribute] = received.attribute(GroupAttribute, m.Group)
		}
		return e
	}
	if key == dedup { // it has a field of its own
		delete(e.MessageAttributes, KeyAttribute)
	}
	e.MessageDeduplicationId = aws.String(cmp.Or(dedup, rand.Text()))
	e.MessageGroupId = aws.String(cmp.Or(m.Group, "default"))
	return e
}

// errNoText is why a message is not sent whose Body, Key or Group is not what SQS
// takes for text. Its protocol would change it, or refuse all messages of the call.
var errNoText = errors.New("sqs: no text")

// check tells what of an entry SQS cannot hold.
func check(e types.SendMessageBatchRequestEntry) error {
	for what, text := range map[string]*string{
		"body": e.MessageBody, "group": e.MessageGroupId, "key": e.MessageDeduplicationId,
		"attribute " + KeyAttribute: textOf(e, KeyAttribute), "attribute " + GroupAttribute: textOf(e, GroupAttribute),
	} {
		if text != nil && !isText(*text) {
			return fmt.Errorf("%w: the %s is not valid UTF-8 or has control characters", errNoText, what)
		}
	}
	for k := range e.MessageAttributes {
		if !isText(k) {
			return fmt.Errorf("%w: the name %q of an attribute", errNoText, k)
		}
	}
	return nil
}

// textOf is an attribute's value, be it text or not; nil: there is none.
func textOf(e types.SendMessageBatchRequestEntry, name string) *string {
	v, ok := e.MessageAttributes[name]
	if ok && v.StringValue == nil {
		return aws.String(string(v.BinaryValue))
	}
	return v.StringValue
}

// isText reports whether SQS takes s as it is.
func isText(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError && !utf8.ValidString(s) || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return true
}

const (
	batchSize = 10         // messages of one call
	batchRoom = 240 * 1024 // bytes of one call, of 256 KiB that any account has
)

// size is about what SQS counts of an entry.
func size(e types.SendMessageBatchRequestEntry) int {
	n := len(*e.MessageBody)
	for k, v := range e.MessageAttributes {
		n += len(k) + len(*v.DataType) + len(aws.ToString(v.StringValue)) + len(v.BinaryValue)
	}
	return n
}

// sendAll sends entries in as few calls as it takes. A call that fails does so
// for its own entries only: one of them may be why.
func (q *Queue) sendAll(ctx context.Context, url string, all []types.SendMessageBatchRequestEntry) (errs consumer.BatchError) {
	var entries []types.SendMessageBatchRequestEntry
	var index []int // in all
	for i, e := range all {
		if err := check(e); err != nil {
			errs.Fail(i, fmt.Errorf("send message %d of %d: %w", i+1, len(all), err))
			continue
		}
		entries, index = append(entries, e), append(index, i)
	}
	var refused consumer.BatchError
	defer func() {
		for i, err := range refused.Errs {
			errs.Fail(index[i], fmt.Errorf("sqs: send message %d of %d: %w", index[i]+1, len(all), err))
		}
	}()
	for from := 0; from < len(entries); {
		to, room := from, batchRoom
		for to < len(entries) && to-from < batchSize && (to == from || size(entries[to]) <= room) {
			entries[to].Id = aws.String(fmt.Sprint(to))
			room -= size(entries[to])
			to++
		}
		out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries[from:to]})
		for i := from; err != nil && i < to; i++ {
			refused.Fail(i, told(err))
		}
		if err == nil {
			a := answer{failed: out.Failed}
			for _, e := range out.Successful {
				a.done = append(a.done, e.Id)
			}
			a.note(&refused, from, to)
		}
		from = to
	}
	return errs
}
