package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/consumertest"
	"github.com/protoloop/protoloop/consumer/sqs"
	"github.com/protoloop/protoloop/internal/testtools"
)

const lease = 3 * time.Second

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
func under(t *testing.T, server, name string, attrs map[string]string) consumertest.Queue {
	t.Helper()
	p := startProxy(t, server)
	direct, through := client(t, server), client(t, p.addr)
	suffix := ""
	if attrs["FifoQueue"] != "" {
		suffix = ".fifo"
	}
	url, deadURL := create(t, direct, name+suffix, attrs), create(t, direct, name+"-dead"+suffix, attrs)
	q, err := sqs.New(through, sqs.Options{URL: url, DeadLetterURL: deadURL, Visibility: lease, Wait: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	toSend, err := sqs.New(direct, sqs.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	dead, err := sqs.New(direct, sqs.Options{URL: deadURL, Wait: time.Second, Visibility: time.Hour})
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
			}
		},
		Outage: func(*testing.T) func() {
			p.cut()
			return p.listen
		},
	}
}

func TestConformance(t *testing.T) {
	server := testtools.StartFauxqs(t)
	names := make(chan string, 100)
	for i := range cap(names) {
		names <- fmt.Sprint("items-", i)
	}
	consumertest.Run(t, func(t *testing.T) consumertest.Queue { return under(t, server, <-names, nil) })
}

// TestFIFO: a FIFO queue drops doubles by their key, and holds a group's order
// while a message is tried again.
func TestFIFO(t *testing.T) {
	q := under(t, testtools.StartFauxqs(t), "items", map[string]string{"FifoQueue": "true"})
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
	q, err := sqs.New(c, sqs.Options{URL: create(t, c, "large", nil)})
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
	for _, o := range []sqs.Options{{}, {URL: "x", Visibility: time.Millisecond}, {URL: "x", Visibility: 13 * time.Hour}, {URL: "x", Wait: time.Minute}} {
		if _, err := sqs.New(c, o); err == nil {
			t.Errorf("%+v is accepted", o)
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
