// SPDX-License-Identifier: Apache-2.0

package sqs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/protoloop/protoloop/consumer"
)

// TestDeadAttributes: those that say why are always there, and there is room
// for a key and a group.
func TestDeadAttributes(t *testing.T) {
	m := &consumer.Message{ID: "id", Key: "key", Group: "g", SentAt: time.Now(), Attributes: map[string]string{KeyAttribute: "key", "empty": ""}}
	for i := range 10 {
		m.Attributes[fmt.Sprint("own", i)] = "x"
	}
	got := deadAttributes(consumer.Dead{Message: m, Reason: errors.New("why"), Tries: 2})
	if len(got) != maxAttributes-2 || got[consumer.AttrReason] != "why" || got[consumer.AttrSentAt] == "" || got["own0"] != "x" || got["own9"] != "" {
		t.Errorf("%v", got)
	}
	m.Attributes["traceparent"], m.Attributes["tracestate"] = "00-1-2-01", "v=1"
	got = deadAttributes(consumer.Dead{Message: m, Reason: errors.New("why"), Tries: 2})
	if len(got) != maxAttributes-2 || got["traceparent"] != "00-1-2-01" || got["tracestate"] != "v=1" || got[consumer.AttrSentAt] == "" || got[consumer.AttrGroup] != "g" {
		t.Errorf("of a message with a trace: %v", got)
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int32{-1: 0, 0: 0, 1: 1, time.Second: 1, time.Second + 1: 2, 100 * time.Hour: 12 * 3600} {
		if got := seconds(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}

// FuzzConvert: whatever a server says about a message, it is one.
func FuzzConvert(f *testing.F) {
	f.Add("body", "3", "1700000000000", "key", "group", "dedup")
	f.Add("", "x", "-1", "", "", "")
	f.Fuzz(func(t *testing.T, body, count, sent, key, group, dedup string) {
		m := types.Message{
			Body: &body, MessageId: aws.String("id"),
			Attributes: map[string]string{"AWSTraceHeader": "Root=1", "ApproximateReceiveCount": count, "SentTimestamp": sent, "MessageDeduplicationId": dedup},
			MessageAttributes: map[string]types.MessageAttributeValue{
				KeyAttribute: {StringValue: &key}, GroupAttribute: {StringValue: &group},
				"binary": {DataType: aws.String("Binary"), BinaryValue: []byte(body)}, "n": {DataType: aws.String("Number"), StringValue: &count},
			},
		}
		c := convert(m)
		if string(c.Body) != body || c.ID != "id" || c.Key == "" || c.Group != group || c.Attributes["binary"] != body || c.Deliveries < 0 {
			t.Fatalf("%+v", c)
		}
		e := entry("queue", c, c.Attributes, c.Key, c.Key)
		for k, v := range e.MessageAttributes {
			if valueOf(v) != c.Attributes[k] && k != KeyAttribute || strings.HasPrefix(k, systemPrefix) {
				t.Fatalf("%s is sent as %+v", k, v)
			}
		}
		if trace := e.MessageSystemAttributes["AWSTraceHeader"]; trace.StringValue == nil || *trace.StringValue != "Root=1" {
			t.Fatalf("the trace header is lost: %+v", e)
		}
		if count != "" && *e.MessageAttributes["n"].DataType != "Number" || body != "" && *e.MessageAttributes["binary"].DataType != "Binary" {
			t.Fatalf("types of attributes are lost: %+v", e)
		}
	})
}
