// SPDX-License-Identifier: Apache-2.0

// Package oneline makes names printable: of PIDs, workers and tasks, which may have been
// made of what a client has sent.
package oneline

import (
	"strings"
	"unicode"

	"github.com/asynkron/protoactor-go/actor"
)

// Name is a name with spaces for what would end the line, or speak to the terminal.
func Name(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, name)
}

// PID is a PID as address/id, and only the id if that is home's address, or none.
func PID(pid *actor.PID, home string) string {
	switch address := pid.GetAddress(); address {
	case home, "", "nonhost":
		return Name(pid.GetId())
	default:
		return Name(address + "/" + pid.GetId())
	}
}
