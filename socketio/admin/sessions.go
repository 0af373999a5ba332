// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"crypto/rand"
	"sync"
	"time"
)

// maxSessions is how many browsers may come back without a password.
const maxSessions = 1000

// sessions tracks who has logged in and may come back. Any goroutine.
type sessions struct {
	mu  sync.Mutex
	all map[string]loggedIn
}

// loggedIn is one who has.
type loggedIn struct {
	name   string
	access Access
	until  time.Time
}

// add returns the id that he comes back with.
func (s *sessions) add(name string, access Access, until time.Time) string {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]loggedIn{}
	}
	if len(s.all) >= maxSessions {
		s.makeRoom()
	}
	s.all[id] = loggedIn{name, access, until}
	return id
}

// makeRoom forgets the one that ends first. With mu held.
func (s *sessions) makeRoom() {
	first := ""
	for id, l := range s.all {
		if first == "" || l.until.Before(s.all[first].until) {
			first = id
		}
	}
	delete(s.all, first)
}

func (s *sessions) find(id string, now time.Time) (name string, access Access, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, known := s.all[id]
	if known && now.After(l.until) {
		delete(s.all, id)
		known = false
	}
	return l.name, l.access, known
}
