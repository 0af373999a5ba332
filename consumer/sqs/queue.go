package sqs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/protoloop/protoloop/consumer"
)

// Names of the message attributes that SQS has no field for.
const (
	KeyAttribute   = "Idempotency-Key"
	GroupAttribute = "Message-Group"
)

// Options of a queue. Only URL is required.
type Options struct {
	// URL of the queue.
	URL string
	// DeadLetterURL is that of the queue of dead letters. Empty: there is none.
	DeadLetterURL string
	// Visibility is the lease, in whole seconds, from 1 s to 12 h. 0: 30 s.
	Visibility time.Duration
	// Wait is the long poll of Receive, in whole seconds, at most 20 s. 0: 20 s.
	Wait time.Duration
}

// maxVisibility is the longest that SQS hides a message.
const maxVisibility = 12 * time.Hour

// Queue is a queue in SQS. Its methods may be called on any goroutine.
type Queue struct {
	client *sqs.Client
	o      Options
}

// New returns a queue. It asks the service for nothing.
func New(client *sqs.Client, o Options) (*Queue, error) {
	if client == nil {
		panic("sqs: New called with a nil client")
	}
	o.Visibility = cmp.Or(o.Visibility, 30*time.Second)
	o.Wait = cmp.Or(o.Wait, 20*time.Second)
	switch {
	case o.URL == "":
		return nil, errors.New("sqs: Options.URL is empty")
	case o.Visibility < time.Second || o.Visibility > maxVisibility:
		return nil, fmt.Errorf("sqs: Options.Visibility %v is not from 1 s to 12 h", o.Visibility)
	case o.Wait < time.Second || o.Wait > 20*time.Second:
		return nil, fmt.Errorf("sqs: Options.Wait %v is not from 1 s to 20 s", o.Wait)
	}
	o.Visibility, o.Wait = o.Visibility.Truncate(time.Second), o.Wait.Truncate(time.Second)
	return &Queue{withPlainBodies(client), o}, nil
}

// Open opens a source. It is a consumer.Open. It asks for the queue's
// attributes, so that a wrong URL or missing rights are told at once.
func (q *Queue) Open(ctx context.Context) (consumer.Source, error) {
	for _, url := range []string{q.o.URL, q.o.DeadLetterURL} {
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
// count. A FIFO queue drops a message whose Key was sent within the last five
// minutes; one without a Key is never taken for another, and one without a
// Group is in the group "default".
//
// The error is a [*consumer.BatchError] about the messages that SQS has
// refused, or has not said that it has taken.
func (q *Queue) Send(ctx context.Context, ms ...consumer.Message) error {
	entries := make([]types.SendMessageBatchRequestEntry, len(ms))
	for i, m := range ms {
		attrs := make(map[string]string, len(m.Attributes)+2)
		for k, v := range m.Attributes {
			attrs[k] = v
		}
		entries[i] = entry(q.o.URL, string(m.Body), m.Key, m.Group, attrs)
	}
	errs := q.sendAll(ctx, q.o.URL, entries)
	return errs.Err()
}

func isFIFO(url string) bool { return strings.HasSuffix(url, ".fifo") }

// entry is a message to be sent to a queue. Its ID is set by sendAll.
func entry(url, body, key, group string, attrs map[string]string) types.SendMessageBatchRequestEntry {
	e := types.SendMessageBatchRequestEntry{MessageBody: &body}
	if isFIFO(url) {
		e.MessageDeduplicationId = aws.String(cmp.Or(key, rand.Text()))
		e.MessageGroupId = aws.String(cmp.Or(group, "default"))
	} else {
		if key != "" {
			attrs[KeyAttribute] = key
		}
		if group != "" {
			attrs[GroupAttribute] = group
		}
	}
	for k, v := range attrs {
		if v == "" { // SQS refuses it
			continue
		}
		if e.MessageAttributes == nil {
			e.MessageAttributes = map[string]types.MessageAttributeValue{}
		}
		e.MessageAttributes[k] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(v)}
	}
	return e
}

const (
	batchSize = 10         // messages of one call
	batchRoom = 240 * 1024 // bytes of one call, of 256 KiB that any account has
)

// size is about what SQS counts of an entry.
func size(e types.SendMessageBatchRequestEntry) int {
	n := len(*e.MessageBody)
	for k, v := range e.MessageAttributes {
		n += len(k) + len(*v.DataType) + len(*v.StringValue)
	}
	return n
}

// sendAll sends entries in as few calls as it takes. A call that fails does so
// for its own entries only: one of them may be why.
func (q *Queue) sendAll(ctx context.Context, url string, entries []types.SendMessageBatchRequestEntry) (errs consumer.BatchError) {
	for from := 0; from < len(entries); {
		to, room := from, batchRoom
		for to < len(entries) && to-from < batchSize && (to == from || size(entries[to]) <= room) {
			entries[to].Id = aws.String(fmt.Sprint(to))
			room -= size(entries[to])
			to++
		}
		out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries[from:to]})
		for i := from; err != nil && i < to; i++ {
			errs.Fail(i, fmt.Errorf("sqs: send message %d of %d: %w", i+1, len(entries), told(err)))
		}
		if err == nil {
			for _, f := range out.Failed {
				failed(&errs, f)
			}
		}
		from = to
	}
	return errs
}
