// SPDX-License-Identifier: Apache-2.0

package jetstream

import (
	"errors"
	"fmt"
	neturl "net/url"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Connect connects to a server or cluster outside, by a URL such as
// nats://host:4222, or several with commas between. Unlike [nats.Connect] it does not give up reconnecting,
// and fails what is published meanwhile: a queue tells its caller rather than
// to keep messages in memory.
func Connect(url string, opts ...nats.Option) (*nats.Conn, error) {
	all := append([]nats.Option{
		nats.Name("protoloop"), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second),
		nats.ReconnectJitter(500*time.Millisecond, time.Second), nats.ReconnectBufSize(-1),
		nats.PingInterval(20 * time.Second),
	}, opts...)
	nc, err := nats.Connect(url, all...)
	if err != nil {
		if _, bad := errors.AsType[*neturl.Error](err); bad {
			err = errNoURL // that one has all of it
		}
		return nil, fmt.Errorf("jetstream: connect to %q: %w", Redacted(url), err)
	}
	return nc, nil
}

var (
	errNoURL = errors.New("it is no URL")
	scheme   = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://`)
)

// Redacted is a URL, or several with commas between, for logs and errors:
// without users, passwords and tokens, also if it is not well formed. A user
// alone is a token to NATS, which [neturl.URL.Redacted] would show.
func Redacted(url string) string {
	var b strings.Builder
	rest := url
	for rest != "" {
		// Up to the next scheme: a password may well have a comma or a slash.
		end := len(rest)
		begin := scheme.FindStringIndex(rest)
		if begin == nil || begin[0] > 0 {
			begin = []int{0, 0}
		}
		if next := scheme.FindStringIndex(rest[begin[1]:]); next != nil {
			end = begin[1] + next[0]
		}
		one := rest[begin[1]:end]
		if at := strings.LastIndexByte(one, '@'); at >= 0 {
			one = "xxxxx" + one[at:]
		}
		b.WriteString(rest[:begin[1]] + one)
		rest = rest[end:]
	}
	return b.String()
}
