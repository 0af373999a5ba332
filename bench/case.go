// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"regexp"
)

// run does n operations, a multiple of the case's batch, and returns the sum
// of their results: that is how a case shows that it did the work.
type run func(n int) (sum int, err error)

// benchCase is one way of doing something.
type benchCase struct {
	name  string // for -run: group/what
	label string // in the table
	// batch operations have the results 0, 1, … batch-1.
	batch int
	// open prepares what the operations need, anew for each round: a case
	// must not pay for what another one has left in its actor system.
	open func(e *env) (run, error)
}

// sum is what n operations have to add up to.
func (c *benchCase) sum(n int) int { return n / c.batch * (c.batch * (c.batch - 1) / 2) }

// do runs n operations, rounded up to whole batches, checks their results
// and returns how many it ran.
func (c *benchCase) do(r run, n int) (int, error) {
	n = (max(n, 1) + c.batch - 1) / c.batch * c.batch
	sum, err := r(n)
	if err != nil {
		return n, fmt.Errorf("%s: %w", c.name, err)
	}
	if sum != c.sum(n) {
		return n, fmt.Errorf("%s: the results of %d operations add up to %d, want %d", c.name, n, sum, c.sum(n))
	}
	return n, nil
}

// group is a section of the table.
type group struct {
	title string
	cases []*benchCase
}

// groups returns the sections in the order of the table.
func groups() []group {
	return []group{
		{"burst of 1,000, then 1,000 waits", burstCases()},
		{"one at a time", sequentialCases()},
		{"64 concurrent askers", askerCases()},
		{"cost per operation as numbers grow", scaleCases()},
		{fmt.Sprintf("%d busy workers, by the number of processors", coreWorkers), coreCases()},
		{"many futures", gatherCases()},
		{"awaits beside a bounded worker", ringCases()},
		{"an order: accounts, inventory, payment, gateway; 1,000 in flight", orderCases()},
		{fmt.Sprintf("overload: %d workers, %v of work each, Timeout(%v), %s requests a second; ns/op is what offering and ending one takes", overloadWorkers, overloadWork, overloadBudget, thousands(overloadRate)), overloadCases()},
		{"supervision", supervisedCases()},
		{"workers by key", gridCases()},
		{"asks of another process, by mutual TLS; each hub is a process, too, and CPU ns is that of them all", askCases()},
		{"a publication to all subscribers, by mutual TLS over three hubs; each hub is a process, too, and CPU ns is that of them all", topicCases()},
		{"state of keys in JetStream: 64 saves of 200 bytes in flight", stateCases()},
		{"reminders in JetStream, a server in the process; the server looks what is due four times a second", remindCases()},
		{"a look inside", lookCases()},
		{"somebody looks on, beside the same where nobody does", watchedCases()},
	}
}

// selection is what -run leaves of the table.
type selection struct {
	groups []group
	cases  []*benchCase
	memory []*memoryCase
	beside []*neighbourCase
	fair   []*fairCase
	rules  []rule
}

var errNothing = errors.New("matches no case; -list names them")

// choose keeps the cases that match, and the baselines of their rules.
func choose(match *regexp.Regexp) (selection, error) {
	var s selection
	wanted := map[string]bool{}
	for _, r := range rules() {
		if match.MatchString(r.of) {
			s.rules = append(s.rules, r)
			wanted[r.against], wanted[r.ofAlone], wanted[r.againstAlone] = true, true, true
		}
	}
	keep := func(name string) bool { return wanted[name] || match.MatchString(name) }
	for _, g := range groups() {
		kept := group{title: g.title}
		for _, c := range g.cases {
			if keep(c.name) {
				kept.cases = append(kept.cases, c)
			}
		}
		if len(kept.cases) > 0 {
			s.groups = append(s.groups, kept)
			s.cases = append(s.cases, kept.cases...)
		}
	}
	for _, p := range memoryCases() {
		if keep(p.name) {
			s.memory = append(s.memory, p)
		}
	}
	for _, c := range neighbourCases() {
		if keep(c.name) {
			s.beside = append(s.beside, c)
		}
	}
	for _, c := range fairCases() {
		if keep(c.name) {
			s.fair = append(s.fair, c)
		}
	}
	if len(s.cases)+len(s.memory)+len(s.beside)+len(s.fair) == 0 {
		return s, errNothing
	}
	return s, nil
}
