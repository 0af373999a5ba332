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
