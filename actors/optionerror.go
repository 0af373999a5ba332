// SPDX-License-Identifier: Apache-2.0

package actors

import "fmt"

// OptionError refuses an option, or an argument of a constructor, that cannot be meant.
// All packages of this module have it. A constructor that returns an error returns it,
// or several of them joined ([errors.Join]); what returns none, such as [NewLimiter] or
// a [CallOption], panics with it.
type OptionError struct {
	Of    string // whose option it is: "socketio: NewServer", `supervisor: spec "app", child "store"`
	Field string // of what has been given there: "Options.PingTimeout", "Backoff.Max"
	Value any    // what has been given; nil: nothing, or what would tell a reader nothing
	Why   string // "is negative", "is missing"
}

// Error is all of it in a line: "socketio: NewServer: Options.PingTimeout is negative:
// -1s".
func (e *OptionError) Error() string {
	text := e.Of + ": " + e.Field + " " + e.Why
	switch v := e.Value.(type) {
	case nil:
		return text
	case string:
		return fmt.Sprintf("%s: %q", text, v)
	}
	return fmt.Sprintf("%s: %v", text, e.Value)
}
