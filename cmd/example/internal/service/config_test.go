// SPDX-License-Identifier: Apache-2.0

package service

import (
	"strings"
	"testing"
)

// TestValidateKeepsSecrets: what is wrong with a URL is told without its password.
func TestValidateKeepsSecrets(t *testing.T) {
	for _, url := range []string{"http://user:secret@host", "nats://user:secret/x@host", "what://user:secret@host", "nats://secret@host:x"} {
		for name, set := range map[string]func(c *Config){
			"-queue":        func(c *Config) { c.Queue = url },
			"-store":        func(c *Config) { c.Store = url },
			"-topic":        func(c *Config) { c.Topic = url },
			"-dead-letters": func(c *Config) { c.DeadLetters = url },
		} {
			c := Defaults()
			set(&c)
			if err := c.Validate(); err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%s %s: %v", name, url, err)
			} else if err == nil && name != "-queue" {
				t.Errorf("%s %s is accepted", name, url)
			}
		}
	}
}

// TestValidateQueueLists: several servers of one NATS cluster are a queue, and a
// store; each of them has to be a URL.
func TestValidateQueueLists(t *testing.T) {
	for queue, want := range map[string]string{
		"nats://a:4222,nats://b:4222":                  "",
		"nats://u:se,cret@a:4222,nats://u:cret@b:4222": "",
		"nats://a:4222,nats://b:x":                     "nats://b:x",
		"nats://a:4222,b:4222":                         "", // as NATS itself takes it
	} {
		c := Defaults()
		c.Queue = queue
		err := c.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", queue, err)
		}
		if want == "" && strings.HasPrefix(queue, "nats") && c.store() != queue {
			t.Errorf("%s: the store is %s", queue, c.store())
		}
	}
}
