// SPDX-License-Identifier: Apache-2.0

package sqs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/consumertest"
	"github.com/protoloop/protoloop/consumer/sqs"
	"github.com/protoloop/protoloop/internal/testtools"
)

// forever is a lease whose end no test sees.
const forever = time.Hour

// create makes a queue and returns its URL.
func create(t *testing.T, c *awssqs.Client, name string, attrs map[string]string) string {
	t.Helper()
	out, err := c.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: &name, Attributes: attrs})
	if err != nil {
		t.Fatal(err)
	}
	return *out.QueueUrl
}

// length is how many messages a queue has.
func length(ctx context.Context, c *awssqs.Client, url string) (int, error) {
	out, err := c.GetQueueAttributes(ctx, &awssqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"} {
		n, err := strconv.Atoi(out.Attributes[name])
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// under is a queue of its own as the suite wants it.
func under(t *testing.T, server, name string, attrs map[string]string, lease time.Duration) consumertest.Queue {
	t.Helper()
	p := testtools.StartProxy(t, server)
	direct, through := client(t, server), client(t, p.Addr)
	suffix := ""
	if attrs["FifoQueue"] != "" {
		suffix = ".fifo"
	}
	url, deadURL := create(t, direct, name+suffix, attrs), create(t, direct, name+"-dead"+suffix, attrs)
	q, err := sqs.New(through, sqs.Options{URL: url, DeadLetters: deadURL, Lease: lease, Wait: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	toSend, err := sqs.New(direct, sqs.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	dead, err := sqs.New(direct, sqs.Options{URL: deadURL, Wait: time.Second, Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var letters []consumer.Message
	return consumertest.Queue{
		Open: q.Open, Send: toSend.Send, Lease: lease, TextOnly: true, CutPolls: true, Largest: 1 << 20,
		Len: func(ctx context.Context) (int, error) { return length(ctx, direct, url) },
		Dead: func(ctx context.Context) ([]consumer.Message, error) {
			src, err := dead.Open(ctx)
			if err != nil {
				return nil, err
			}
			for {
				ms, err := src.Receive(ctx, 10)
				if err != nil || len(ms) == 0 {
					return letters, err
				}
				for _, m := range ms {
					letters = append(letters, *m)
				}
				if err := src.Ack(ctx, ms); err != nil { // the next one of its group waits for that
					return nil, err
				}
			}
		},
		Outage: func(*testing.T) func() {
			p.Cut()
			return p.Mend
		},
	}
}

func TestConformance(t *testing.T) {
	server := testtools.StartFauxqs(t)
	names := make(chan string, 100)
	for i := range cap(names) {
		names <- fmt.Sprint("items-", i)
	}
	consumertest.Run(t, func(t *testing.T, lease time.Duration) consumertest.Queue {
		return under(t, server, <-names, nil, lease)
	})
}

// TestFIFO: a FIFO queue drops doubles by their key, and holds a group's order
// while a message is tried again.
func TestFIFO(t *testing.T) {
	q := under(t, testtools.StartFauxqs(t), "items", map[string]string{"FifoQueue": "true"}, forever)
	ctx := t.Context()
	for range 2 {
		if err := q.Send(ctx, consumer.Message{Body: []byte("a0"), Key: "ka0", Group: "a"}, consumer.Message{Body: []byte("a1"), Key: "ka1", Group: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	src, err := q.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ms, err := src.Receive(ctx, 1)
	if err != nil || len(ms) != 1 || string(ms[0].Body) != "a0" || ms[0].Key != "ka0" || ms[0].Group != "a" {
		t.Fatalf("received %+v, %v", ms, err)
	}
	if err := src.Nack(ctx, []consumer.Nack{{Message: ms[0], Delay: time.Second}}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 2 {
		ms, err := src.Receive(ctx, 1)
		if err != nil || len(ms) != 1 {
			t.Fatalf("received %+v, %v", ms, err)
		}
		got = append(got, string(ms[0].Body))
		if err := src.Ack(ctx, ms); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(got) != "[a0 a1]" {
		t.Errorf("received %v", got)
	}
	if n, err := q.Len(ctx); n != 0 || err != nil {
		t.Errorf("%d are left, %v", n, err)
	}
}

// TestLargeBatches: what does not fit into one call goes in several.
func TestLargeBatches(t *testing.T) {
	server := testtools.StartFauxqs(t)
	c := client(t, server)
	q, err := sqs.New(c, sqs.Options{URL: create(t, c, "large", nil), Lease: forever})
	if err != nil {
		t.Fatal(err)
	}
	var ms []consumer.Message
	for i := range 33 {
		ms = append(ms, consumer.Message{Body: []byte(strings.Repeat("x", 1000*(i%5)*20+1))})
	}
	if err := q.Send(t.Context(), ms...); err != nil {
		t.Fatal(err)
	}
	src, err := q.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []*consumer.Message
	for len(all) < 33 {
		ms, err := src.Receive(t.Context(), 100)
		if err != nil || len(ms) == 0 {
			t.Fatalf("received %d, then %v", len(all), err)
		}
		all = append(all, ms...)
	}
	if err := src.Ack(t.Context(), all); err != nil {
		t.Error(err)
	}
	if n, err := length(t.Context(), c, create(t, c, "large", nil)); n != 0 || err != nil {
		t.Errorf("%d are left, %v", n, err)
	}
}

func TestOptionsAndMissingQueue(t *testing.T) {
	c := client(t, "127.0.0.1:1")
	for _, o := range []sqs.Options{{}, {URL: "x", Lease: time.Millisecond}, {URL: "x", Lease: 13 * time.Hour}, {URL: "x", Wait: time.Minute}} {
		_, err := sqs.New(c, o)
		if e := new(actors.OptionError); !errors.As(err, &e) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	q, err := sqs.New(client(t, testtools.StartFauxqs(t)), sqs.Options{URL: "http://sqs.us-east-1.localhost/000000000000/nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	var missing *types.QueueDoesNotExist
	if _, err := q.Open(t.Context()); !errors.As(err, &missing) {
		t.Errorf("open of no queue: %v", err)
	}
}

// TestFIFODeadLetterSentBack: a FIFO queue does not take a dead letter that is sent
// back for a double of the message that has died, and its key is the one of that.
func TestFIFODeadLetterSentBack(t *testing.T) {
	q := under(t, testtools.StartFauxqs(t), "items", map[string]string{"FifoQueue": "true"}, forever)
	ctx := t.Context()
	src, err := q.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	next := consumer.Message{Body: []byte("a"), Key: "ka", Group: "g"}
	for round := range 3 {
		if err := q.Send(ctx, next); err != nil {
			t.Fatal(err)
		}
		ms, err := src.Receive(ctx, 10)
		if err != nil || len(ms) != 1 || ms[0].Key != "ka" || ms[0].Group != "g" {
			t.Fatalf("round %d: received %+v, %v", round, ms, err)
		}
		if err := src.(consumer.DeadLetterer).DeadLetter(ctx, []consumer.Dead{{Message: ms[0], Reason: errors.New("why"), Tries: 1}}); err != nil {
			t.Fatal(err)
		}
		letters, err := q.Dead(ctx)
		if err != nil || len(letters) != round+1 || letters[round].Key != "ka" {
			t.Fatalf("round %d: dead letters %+v, %v", round, letters, err)
		}
		next = letters[round]
	}
}

// TestAttributesOfAllTypes: a handler sees those that SQS adds and those of bytes,
// and what is sent on or is a dead letter has them with their types.
func TestAttributesOfAllTypes(t *testing.T) {
	server := testtools.StartFauxqs(t)
	c := client(t, server)
	url, deadURL := create(t, c, "typed", nil), create(t, c, "typed-dead", nil)
	q, err := sqs.New(c, sqs.Options{URL: url, DeadLetters: deadURL, Wait: time.Second, Lease: forever})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	text := func(kind, v string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: &kind, StringValue: &v}
	}
	binary := "Binary.png"
	body := "x"
	own := map[string]types.MessageAttributeValue{
		"a": text("Number", "17"), "b": {DataType: &binary, BinaryValue: []byte("\x89PNG\xff")}, "c": text("String.note", "n"),
	}
	if _, err := c.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: &url, MessageBody: &body, MessageAttributes: own}); err != nil {
		t.Fatal(err)
	}
	src, err := q.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ms, err := src.Receive(ctx, 1)
	if err != nil || len(ms) != 1 {
		t.Fatal(ms, err)
	}
	a := ms[0].Attributes
	if a["a"] != "17" || a["b"] != "\x89PNG\xff" || a["c"] != "n" || a["AWS.SentTimestamp"] == "" || a["AWS.SenderId"] == "" {
		t.Errorf("received %q", a)
	}
	if err := q.Send(ctx, *ms[0]); err != nil {
		t.Error(err)
	}
	if err := src.(consumer.DeadLetterer).DeadLetter(ctx, []consumer.Dead{{Message: ms[0], Reason: errors.New("why"), Tries: 1}}); err != nil {
		t.Error(err)
	}
	for what, from := range map[string]string{"sent on": url, "a dead letter": deadURL} {
		out, err := c.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: &from, MessageAttributeNames: []string{"All"}, WaitTimeSeconds: 1})
		if err != nil || len(out.Messages) != 1 {
			t.Fatalf("%s: %v, %v", what, out, err)
		}
		m := out.Messages[0]
		for k, want := range own {
			if what == "a dead letter" && k == "c" {
				continue // there is room for two
			}
			got := m.MessageAttributes[k]
			if got.DataType == nil || *got.DataType != *want.DataType || string(got.BinaryValue) != string(want.BinaryValue) {
				t.Errorf("%s has %s = %+v, want %+v", what, k, got, want)
			}
		}
	}
}

// forgetful has a server forget one entry of its answer to a batch.
type forgetful struct {
	http.RoundTripper
	action string
}

func (s forgetful) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.RoundTripper.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+s.action) {
		return res, err
	}
	defer res.Body.Close()
	var answer struct{ Successful, Failed []map[string]any }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, err
	}
	answer.Successful = answer.Successful[:len(answer.Successful)-1]
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res.Header.Del("Content-Length")
	return res, nil
}

// TestAnswerForgetsAnEntry: a message that the answer to a batch does not mention
// has failed, whatever the batch was about.
func TestAnswerForgetsAnEntry(t *testing.T) {
	server := testtools.StartFauxqs(t)
	open := func(action string) (*sqs.Queue, consumer.Source) {
		t.Helper()
		c := client(t, server)
		o := c.Options()
		o.HTTPClient = &http.Client{Transport: forgetful{o.HTTPClient.(*http.Client).Transport, action}}
		q, err := sqs.New(awssqs.New(o), sqs.Options{URL: create(t, c, "forgets", nil), Wait: time.Second, Lease: forever})
		if err != nil {
			t.Fatal(err)
		}
		src, err := q.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return q, src
	}
	ctx := t.Context()
	failed := func(what string, err error) {
		t.Helper()
		var batch *consumer.BatchError
		if !errors.As(err, &batch) || len(batch.Errs) != 1 || errors.Is(err, consumer.ErrGone) {
			t.Errorf("%s of two, one of which the answer does not mention: %v", what, err)
		}
	}
	q, _ := open("SendMessageBatch")
	failed("send", q.Send(ctx, consumer.Message{Body: []byte("a")}, consumer.Message{Body: []byte("b")}))
	_, src := open("DeleteMessageBatch")
	ms, err := src.Receive(ctx, 10)
	if err != nil || len(ms) != 2 {
		t.Fatal(ms, err)
	}
	_, extender := open("ChangeMessageVisibilityBatch")
	failed("extend", extender.Extend(ctx, ms))
	failed("ack", src.Ack(ctx, ms))
}
