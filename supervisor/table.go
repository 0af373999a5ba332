package supervisor

import (
	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/internal/link"
)

// exit is how a child ended by itself.
type exit struct {
	failed  bool
	err     error
	retried bool // the message that it failed of will be handled anew
}

// exitOf is how a child ended whose mailbox has told this.
func exitOf(f *link.Failure) exit { return exit{f.Err != nil, f.Err, f.Retried} }

// verdict is what a supervisor does about it.
type verdict int

const (
	restart  verdict = iota
	letGo            // it stays down: a Temporary one is forgotten
	failSelf         // the supervisor ends, too
)

// decide is OTP's table of restart types and reasons. A child overrides it by
// its error: ErrEscalate, ErrDoNotRestart.
func decide(r Restart, e exit) verdict {
	switch {
	case is(e.err, actors.ErrEscalate):
		return failSelf
	case is(e.err, actors.ErrDoNotRestart):
		return letGo
	case r == Permanent, r == Transient && e.failed:
		return restart
	}
	return letGo
}

// affected are the indexes, from and to, of the n children that restart when
// child i has failed.
func (s Strategy) affected(i, n int) (from, to int) {
	switch s {
	case OneForAll:
		return 0, n
	case RestForOne:
		return i, n
	}
	return i, i + 1
}

// ends tells whether the supervisor ends because a significant child
// has ended by itself; left is how many of them have not.
func (a AutoShutdown) ends(left int) bool {
	return a == AnySignificant || a == AllSignificant && left == 0
}
