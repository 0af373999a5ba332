package sqs

import (
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

var _ consumer.DeadLetterer = (*source)(nil)

// Receive is one long poll.
func (s *source) Receive(ctx context.Context, most int) ([]*consumer.Message, error) {
	if s.closed.Load() {
		return nil, fmt.Errorf("sqs: %w", consumer.ErrClosed)
	}
	out, err := s.q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &s.q.o.URL, MaxNumberOfMessages: int32(min(most, batchSize)),
		WaitTimeSeconds: int32(s.q.o.Wait / time.Second), VisibilityTimeout: int32(s.q.o.Visibility / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("sqs: receive: %w", err)
	}
	now := time.Now()
	ms := make([]*consumer.Message, len(out.Messages))
	for i, m := range out.Messages {
		ms[i] = convert(m)
		ms[i].ReceivedAt, ms[i].Lease = now, s.q.o.Visibility
	}
	return ms, nil
}

// convert makes a message of SQS's.
func convert(m types.Message) *consumer.Message {
	id := aws.ToString(m.MessageId)
	c := &consumer.Message{ID: id, Key: id, Body: []byte(aws.ToString(m.Body)), Ref: aws.ToString(m.ReceiptHandle)}
	if len(m.MessageAttributes) > 0 {
		c.Attributes = make(map[string]string, len(m.MessageAttributes))
		for k, v := range m.MessageAttributes {
			if v.StringValue != nil {
				c.Attributes[k] = *v.StringValue
			}
		}
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

// failed notes what SQS has refused. Its ID is the message's index.
func failed(errs *consumer.BatchError, f types.BatchResultErrorEntry) {
	i, err := strconv.Atoi(aws.ToString(f.Id))
	if err != nil {
		return // not one of ours
	}
	err = fmt.Errorf("sqs: %s: %s", aws.ToString(f.Code), aws.ToString(f.Message))
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
func batches(n int, f func(from, to int) ([]types.BatchResultErrorEntry, error)) error {
	var errs consumer.BatchError
	var mu sync.Mutex
	var all sync.WaitGroup
	free := make(chan struct{}, parallel)
	for from := 0; from < n; from += batchSize {
		to := min(from+batchSize, n)
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			refused, err := f(from, to)
			mu.Lock()
			defer mu.Unlock()
			for _, r := range refused {
				failed(&errs, r)
			}
			for i := from; err != nil && i < to; i++ {
				errs.Fail(i, err)
			}
		})
	}
	all.Wait()
	return errs.Err()
}

// Ack deletes messages.
func (s *source) Ack(ctx context.Context, ms []*consumer.Message) error {
	return batches(len(ms), func(from, to int) ([]types.BatchResultErrorEntry, error) {
		var entries []types.DeleteMessageBatchRequestEntry
		for i := from; i < to; i++ {
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(ms[i].Ref.(string))})
		}
		out, err := s.q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &s.q.o.URL, Entries: entries})
		if err != nil {
			return nil, fmt.Errorf("sqs: delete: %w", err)
		}
		return out.Failed, nil
	})
}

// hide sets for how long messages are hidden from now on.
func (s *source) hide(ctx context.Context, n int, each func(i int) (*consumer.Message, time.Duration)) error {
	return batches(n, func(from, to int) ([]types.BatchResultErrorEntry, error) {
		var entries []types.ChangeMessageVisibilityBatchRequestEntry
		for i := from; i < to; i++ {
			m, d := each(i)
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(m.Ref.(string)), VisibilityTimeout: seconds(d),
			})
		}
		out, err := s.q.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &s.q.o.URL, Entries: entries})
		if err != nil {
			return nil, fmt.Errorf("sqs: change visibility: %w", err)
		}
		return out.Failed, nil
	})
}

// seconds rounds up: a delay is never shorter than asked for.
func seconds(d time.Duration) int32 {
	d = min(max(d, 0), maxVisibility)
	return int32((d + time.Second - 1) / time.Second)
}

// Nack gives messages back.
func (s *source) Nack(ctx context.Context, ns []consumer.Nack) error {
	return s.hide(ctx, len(ns), func(i int) (*consumer.Message, time.Duration) { return ns[i].Message, ns[i].Delay })
}

// Extend hides messages for another visibility timeout.
func (s *source) Extend(ctx context.Context, ms []*consumer.Message) error {
	return s.hide(ctx, len(ms), func(i int) (*consumer.Message, time.Duration) { return ms[i], s.q.o.Visibility })
}

// DeadLetter sends messages to the queue of dead letters and deletes them. One
// that is too large, with what says why, has no place there.
func (s *source) DeadLetter(ctx context.Context, ds []consumer.Dead) error {
	if s.q.o.DeadLetterURL == "" {
		return fmt.Errorf("sqs: no queue of dead letters: %w", errors.ErrUnsupported)
	}
	entries := make([]types.SendMessageBatchRequestEntry, len(ds))
	for i, d := range ds {
		entries[i] = entry(s.q.o.DeadLetterURL, string(d.Message.Body), d.Message.ID, d.Message.Group, deadAttributes(d))
	}
	errs := s.q.sendAll(ctx, s.q.o.DeadLetterURL, entries)
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
// with room for a key and a group: those that say why come first.
func deadAttributes(d consumer.Dead) map[string]string {
	all := consumer.DeadAttributes(d)
	var names []string
	for k, v := range all {
		if v != "" && k != KeyAttribute && k != GroupAttribute {
			names = append(names, k)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if dead := strings.HasPrefix(a, "Dead-Letter-"); dead != strings.HasPrefix(b, "Dead-Letter-") {
			if dead {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	kept := map[string]string{}
	for _, k := range names[:min(len(names), maxAttributes-2)] {
		kept[k] = all[k]
	}
	return kept
}

// Close ends the source.
func (s *source) Close(context.Context) error {
	s.closed.Store(true)
	return nil
}
