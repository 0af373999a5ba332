// SPDX-License-Identifier: Apache-2.0

package jetstream_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/protoloop/protoloop/consumer/jetstream"
)

func TestRedacted(t *testing.T) {
	for url, want := range map[string]string{
		"":                                    "",
		"nats://host:4222":                    "nats://host:4222",
		"nats://host:4222,tls://other":        "nats://host:4222,tls://other",
		"nats://user:secret@host:4222":        "nats://xxxxx@host:4222",
		"nats://secret@host":                  "nats://xxxxx@host",
		"nats://a:secret@b,tls://c:secret@d/": "nats://xxxxx@b,tls://xxxxx@d/",
		"nats://b,nats://a:secret@c":          "nats://b,nats://xxxxx@c",
		"nats://a:secret,/secret@b":           "nats://xxxxx@b",
		"nats://a:s@secret@b":                 "nats://xxxxx@b",
		"a:secret@host:4222":                  "xxxxx@host:4222",
		"a:secret@host,nats://b:secret@host":  "xxxxx@host,nats://xxxxx@host",
		"https://sqs.eu.amazonaws.com/1/a":    "https://sqs.eu.amazonaws.com/1/a",
	} {
		if got := jetstream.Redacted(url); got != want {
			t.Errorf("%q becomes %q, want %q", url, got, want)
		}
	}
}

// TestConnectKeepsSecrets: what cannot be connected to is told without them.
func TestConnectKeepsSecrets(t *testing.T) {
	for _, url := range []string{"nats://user:secret@127.0.0.1:1", "nats://secret@127.0.0.1:1", "nats://user:secret/secret@127.0.0.1:1", "nats://u:%zzsecret@127.0.0.1:1"} {
		_, err := jetstream.Connect(url, nats.RetryOnFailedConnect(false))
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "127.0.0.1:1") {
			t.Errorf("connected to %q: %v", url, err)
		}
	}
}
