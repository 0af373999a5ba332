// SPDX-License-Identifier: Apache-2.0

package engineio

import (
	"net/netip"
	"sync"
	"time"
)

// maxAddresses bounds the addresses that a limiter remembers.
const maxAddresses = 1 << 16

// limiter tracks handshakes by address: a token bucket each, that holds twice
// its rate.
type limiter struct {
	rate    float64 // a second; 0: no limit
	mu      sync.Mutex
	buckets map[string]bucket
	swept   time.Time
}

type bucket struct {
	tokens float64
	at     time.Time
}

// allow takes a token of the address.
func (l *limiter) allow(address string, now time.Time) bool {
	if l.rate <= 0 {
		return true
	}
	key := network(address)
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.buckets[key]
	if !known {
		if len(l.buckets) >= maxAddresses && !l.sweep(now) {
			return false // more addresses than there are buckets: an attack
		}
		b = bucket{tokens: 2 * l.rate, at: now}
	}
	b.tokens = min(2*l.rate, b.tokens+now.Sub(b.at).Seconds()*l.rate)
	b.at = now
	ok := b.tokens >= 1
	if ok {
		b.tokens--
	}
	if l.buckets == nil {
		l.buckets = map[string]bucket{}
	}
	l.buckets[key] = b
	return ok
}

// sweep forgets addresses whose buckets are full again; at most once a second,
// for it looks at all.
func (l *limiter) sweep(now time.Time) bool {
	if now.Sub(l.swept) < time.Second {
		return false
	}
	l.swept = now
	for key, b := range l.buckets {
		if b.tokens+now.Sub(b.at).Seconds()*l.rate >= 2*l.rate {
			delete(l.buckets, key)
		}
	}
	return len(l.buckets) < maxAddresses
}

// network is what one client has of an address: all of IPv4's, the first 64
// bits of IPv6's.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || !ip.Is6() || ip.Is4In6() {
		return address
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}
