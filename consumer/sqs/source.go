// SPDX-License-Identifier: Apache-2.0

package sqs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/protoloop/protoloop/consumer"
)

// source is one incarnation's view of a queue. SQS has no connection: there
// is nothing to close.
type source struct {
	q      *Queue
	closed atomic.Bool
}

var (
	_ consumer.DeadLetterer = (*source)(nil)
	_ consumer.Lagger       = (*source)(nil)
)

// Lag is about how many messages are in the queue, delayed ones included, that nobody has received, or
// that have come back.
func (s *source) Lag(ctx context.Context) (int64, error) {
	names := []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesDelayed}
	out, err := s.q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &s.q.o.URL, AttributeNames: names})
	if err != nil {
		return 0, fmt.Errorf("sqs: queue %s: %w", s.q.o.URL, err)
	}
	sum := int64(0)
	for _, name := range names {
		n, err := strconv.ParseInt(out.Attributes[string(name)], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("sqs: queue %s: its %s: %w", s.q.o.URL, name, err)
		}
		sum += n
	}
	return sum, nil
}

// answerWithin is how much longer than its long poll a call of Receive may take. One
// whose answer is lost on its way would otherwise never end: neither the SDK nor
// net/http has a deadline for it.
const answerWithin = 10 * time.Second

// Receive is one long poll.
func (s *source) Receive(ctx context.Context, most int) ([]*consumer.Message, error) {
	if s.closed.Load() {
		return nil, fmt.Errorf("sqs: %w", consumer.ErrClosed)
	}
	within, cancel := context.WithTimeout(ctx, s.q.o.Wait+answerWithin)
	defer cancel()
	out, err := s.q.client.ReceiveMessage(within, &sqs.ReceiveMessageInput{
		QueueUrl: &s.q.o.URL, MaxNumberOfMessages: int32(min(most, batchSize)),
		WaitTimeSeconds: int32(s.q.o.Wait / time.Second), VisibilityTimeout: int32(s.q.o.Lease / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if within.Err() != nil {
			return nil, fmt.Errorf("sqs: receive: no answer within %v of a long poll of %v: %w", s.q.o.Wait+answerWithin, s.q.o.Wait, err)
		}
		return nil, fmt.Errorf("sqs: receive: %w", err)
	}
	now := time.Now()
	ms := make([]*consumer.Message, len(out.Messages))
	for i, m := range out.Messages {
		ms[i] = convert(m)
		ms[i].ReceivedAt, ms[i].Lease = now, s.q.o.Lease
	}
	return ms, nil
}

// ref is the Ref of a message.
type ref struct {
	handle string
	attrs  map[string]types.MessageAttributeValue // with their types
}

// attribute is an attribute to be sent: of the type with which it was received if
// its value is that one, else of one that can hold it.
func (r *ref) attribute(name, value string) types.MessageAttributeValue {
	if r != nil {
		if v, ok := r.attrs[name]; ok && valueOf(v) == value && v.DataType != nil {
			return types.MessageAttributeValue{DataType: v.DataType, StringValue: v.StringValue, BinaryValue: v.BinaryValue}
		}
	}
	if !isText(value) {
		return types.MessageAttributeValue{DataType: aws.String("Binary"), BinaryValue: []byte(value)}
	}
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
}

func valueOf(v types.MessageAttributeValue) string {
	if v.StringValue != nil {
		return *v.StringValue
	}
	return string(v.BinaryValue)
}

// convert makes a message of SQS's.
func convert(m types.Message) *consumer.Message {
	id := aws.ToString(m.MessageId)
	c := &consumer.Message{
		ID: id, Key: id, Body: []byte(aws.ToString(m.Body)), Ref: &ref{aws.ToString(m.ReceiptHandle), m.MessageAttributes},
		Attributes: make(map[string]string, len(m.MessageAttributes)+len(m.Attributes)),
	}
	for k, v := range m.Attributes {
		c.Attributes[systemPrefix+k] = v
	}
	for k, v := range m.MessageAttributes {
		c.Attributes[k] = valueOf(v)
	}
	system := func(name types.MessageSystemAttributeName) string { return m.Attributes[string(name)] }
	for _, key := range []string{system(types.MessageSystemAttributeNameMessageDeduplicationId), c.Attributes[KeyAttribute]} {
		if key != "" {
			c.Key = key
		}
	}
	c.Group = c.Attributes[GroupAttribute]
	if group := system(types.MessageSystemAttributeNameMessageGroupId); group != "" {
		c.Group = group
	}
	if n, err := strconv.Atoi(system(types.MessageSystemAttributeNameApproximateReceiveCount)); err == nil {
		c.Deliveries = max(n, 0)
	}
	if ms, err := strconv.ParseInt(system(types.MessageSystemAttributeNameSentTimestamp), 10, 64); err == nil {
		c.SentAt = time.UnixMilli(ms)
	}
	return c
}

// answer is what SQS says about the entries of a batch, each named by its index.
type answer struct {
	done   []*string
	failed []types.BatchResultErrorEntry
}

// note notes what SQS has not done of entries from to to. One that it does not
// mention may not have come to it.
func (a answer) note(errs *consumer.BatchError, from, to int) {
	mentioned := make([]bool, to-from)
	index := func(id *string) (i int, ours bool) {
		i, err := strconv.Atoi(aws.ToString(id))
		if ours = err == nil && i >= from && i < to; ours {
			mentioned[i-from] = true
		}
		return i, ours
	}
	for _, id := range a.done {
		index(id)
	}
	for _, f := range a.failed {
		if i, ours := index(f.Id); ours {
			failed(errs, i, f)
		}
	}
	for i, known := range mentioned {
		if !known {
			errs.Fail(from+i, errors.New("sqs: the answer does not mention it"))
		}
	}
}

// failed notes that SQS has refused the entry of index i.
func failed(errs *consumer.BatchError, i int, f types.BatchResultErrorEntry) {
	err := fmt.Errorf("sqs: %s: %s", aws.ToString(f.Code), aws.ToString(f.Message))
	if isGone(aws.ToString(f.Code), aws.ToString(f.Message)) {
		err = fmt.Errorf("%w: %w", consumer.ErrGone, err)
	}
	if strings.Contains(aws.ToString(f.Message), "must be shorter than") {
		err = fmt.Errorf("%w: %w", errTooLarge, err)
	}
	errs.Fail(i, err)
}

// errTooLarge: the queue takes no message of that size.
var errTooLarge = errors.New("the message is too large")

// told is the error of a call that sends. Calls of several messages are well
// below any limit, so one that is too long has one message.
func told(err error) error {
	if _, long := errors.AsType[*types.BatchRequestTooLong](err); long {
		return fmt.Errorf("%w: %w", errTooLarge, err)
	}
	return err
}

// isGone reports whether SQS says that a receipt handle has had its day.
func isGone(code, text string) bool {
	for _, c := range []string{"ReceiptHandleIsInvalid", "MessageNotInflight"} {
		if strings.Contains(code, c) {
			return true
		}
	}
	return strings.Contains(code, "InvalidParameterValue") &&
		(strings.Contains(text, "receipt handle has expired") || strings.Contains(text, "does not exist or is not available"))
}

// parallel is how many batches of one call of the consumer are under way at a
// time.
const parallel = 4

// batches calls f for up to ten indexes at a time, of n.
func batches(n int, f func(from, to int) (answer, error)) error {
	var errs consumer.BatchError
	var mu sync.Mutex
	var all sync.WaitGroup
	free := make(chan struct{}, parallel)
	for from := 0; from < n; from += batchSize {
		to := min(from+batchSize, n)
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			a, err := f(from, to)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				a.note(&errs, from, to)
				return
			}
			for i := from; i < to; i++ {
				errs.Fail(i, err)
			}
		})
	}
	all.Wait()
	return errs.Err()
}

// Ack deletes messages.
func (s *source) Ack(ctx context.Context, ms []*consumer.Message) error {
	return batches(len(ms), func(from, to int) (a answer, err error) {
		var entries []types.DeleteMessageBatchRequestEntry
		for i := from; i < to; i++ {
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &ms[i].Ref.(*ref).handle})
		}
		out, err := s.q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &s.q.o.URL, Entries: entries})
		if err != nil {
			return a, fmt.Errorf("sqs: delete: %w", err)
		}
		for _, e := range out.Successful {
			a.done = append(a.done, e.Id)
		}
		a.failed = out.Failed
		return a, nil
	})
}

// hide sets for how long messages are hidden from now on.
func (s *source) hide(ctx context.Context, n int, each func(i int) (*consumer.Message, time.Duration)) error {
	return batches(n, func(from, to int) (a answer, err error) {
		var entries []types.ChangeMessageVisibilityBatchRequestEntry
		for i := from; i < to; i++ {
			m, d := each(i)
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.Ref.(*ref).handle, VisibilityTimeout: seconds(d),
			})
		}
		out, err := s.q.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &s.q.o.URL, Entries: entries})
		if err != nil {
			return a, fmt.Errorf("sqs: change the lease: %w", err)
		}
		for _, e := range out.Successful {
			a.done = append(a.done, e.Id)
		}
		a.failed = out.Failed
		return a, nil
	})
}

// seconds rounds up: a delay is never shorter than asked for.
func seconds(d time.Duration) int32 {
	d = min(max(d, 0), maxLease)
	return int32((d + time.Second - 1) / time.Second)
}

// Nack gives messages back.
func (s *source) Nack(ctx context.Context, ns []consumer.Nack) error {
	return s.hide(ctx, len(ns), func(i int) (*consumer.Message, time.Duration) { return ns[i].Message, ns[i].Delay })
}

// Extend begins the leases anew.
func (s *source) Extend(ctx context.Context, ms []*consumer.Message) error {
	return s.hide(ctx, len(ms), func(i int) (*consumer.Message, time.Duration) { return ms[i], s.q.o.Lease })
}

// DeadLetter sends messages to the queue of dead letters and deletes them. One
// that is too large, with what says why, has no place there.
func (s *source) DeadLetter(ctx context.Context, ds []consumer.Dead) error {
	if s.q.o.DeadLetters == "" {
		return fmt.Errorf("sqs: no queue of dead letters: %w", errors.ErrUnsupported)
	}
	entries := make([]types.SendMessageBatchRequestEntry, len(ds))
	for i, d := range ds {
		// With its key, for whoever sends it back. That may have died before, so
		// doubles are told by the ID, which is the same in each delivery.
		entries[i] = entry(s.q.o.DeadLetters, d.Message, deadAttributes(d), d.Message.Key, d.Message.ID)
	}
	errs := s.q.sendAll(ctx, s.q.o.DeadLetters, entries)
	var sent []*consumer.Message
	var index []int
	for i, d := range ds {
		switch err := errs.Errs[i]; {
		case err == nil:
			sent, index = append(sent, d.Message), append(index, i)
		case errors.Is(err, errTooLarge):
			errs.Fail(i, fmt.Errorf("%w: %w", errors.ErrUnsupported, err))
		}
	}
	var undeleted *consumer.BatchError
	if err := s.Ack(ctx, sent); errors.As(err, &undeleted) {
		for i, err := range undeleted.Errs {
			errs.Fail(index[i], err)
		}
	}
	return errs.Err()
}

// maxAttributes is how many a message may have.
const maxAttributes = 10

// deadAttributes are those of a dead letter, at most as many as SQS allows,
// with room for a key and a group: those that say what trace it belongs to come first, then those
// that say why.
func deadAttributes(d consumer.Dead) map[string]string {
	all := consumer.DeadAttributes(d)
	var names []string
	for k, v := range all {
		if v != "" && k != KeyAttribute && k != GroupAttribute && !strings.HasPrefix(k, systemPrefix) {
			names = append(names, k)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(deadRank(a), deadRank(b)), strings.Compare(a, b))
	})
	kept := map[string]string{}
	for _, k := range names[:min(len(names), maxAttributes-2)] {
		kept[k] = all[k]
	}
	if trace := all[traceAttribute]; trace != "" { // it is not one of the ten
		kept[traceAttribute] = trace
	}
	return kept
}

// deadRank is when an attribute of a dead letter has its turn for a place. There is one for each of the first two
// ranks.
func deadRank(name string) int {
	switch {
	case name == "traceparent", name == "tracestate": // W3C Trace Context
		return 0
	case strings.HasPrefix(name, "Dead-Letter-"):
		return 1
	}
	return 2
}

// Close ends the source.
func (s *source) Close(context.Context) error {
	s.closed.Store(true)
	return nil
}
