// SPDX-License-Identifier: Apache-2.0

package life

// A unit of work is one message or submission that a worker has accepted. ClassifyEnd
// says what its end counts as, and who is to be told: it is the only place that
// does.

// How is what a worker knows of the end of a unit.
type How uint8

// How a unit can end.
const (
	HowNone      How = iota // it has not ended
	HowFinished             // what its handler or function has returned decided it
	HowFailed               // … that was an error, or it panicked
	HowCut                  // it was told to end, and says no more than that
	HowLate                 // something else had decided it
	HowReturned             // of a plain actor, who answers by Respond or not at all
	HowNeverRan             // it was dropped before it began
	HowGivenUp              // … when its handler had panicked before
	HowUnhandled            // nobody handles it, and nobody has asked
	HowStashed              // another unit has its message: it is in the mailbox again
	HowLost                 // it was abandoned
)

// Heard is what whoever has asked for a unit has heard of it.
type Heard uint8

// What an asker can have heard.
const (
	HeardNothing Heard = iota
	HeardAnswer
	HeardError
	HeardEnd // why the unit was ended
)

// Bucket is a part of the account.
type Bucket uint8

// The parts of what was accepted.
const (
	BucketPending Bucket = iota
	BucketFinished
	BucketFailed
	BucketCanceled
	BucketAbandoned
	BucketDeadLettered
)

// Notify is who is to be told of an end, if whoever ends a unit has not.
type Notify uint8

// Who can be to be told.
const (
	NotifyNobody Notify = iota
	NotifyAsker
	NotifyDeadLetters
)

// ClassifyEnd says what the end of a unit counts as, and who is to be told. asked is
// whether there is somebody who has asked for it.
func ClassifyEnd(how How, heard Heard, asked bool) (Bucket, Notify) {
	switch how {
	case HowFinished:
		return BucketFinished, NotifyNobody
	case HowFailed:
		return BucketFailed, NotifyNobody
	case HowCut:
		return BucketCanceled, NotifyNobody
	case HowLate:
		return heard.bucket(BucketCanceled), NotifyNobody
	case HowReturned: // somebody may still answer it
		return heard.bucket(BucketFinished), NotifyNobody
	case HowLost: // on its way back from the handler, it may be
		if heard == HeardEnd {
			return BucketAbandoned, NotifyNobody
		}
		return heard.bucket(BucketAbandoned), NotifyNobody
	case HowNeverRan:
		if !asked {
			return BucketDeadLettered, NotifyDeadLetters
		}
		return BucketCanceled, NotifyAsker
	case HowGivenUp:
		if !asked {
			return BucketFailed, NotifyNobody
		}
		return BucketFailed, NotifyAsker
	case HowUnhandled:
		return BucketDeadLettered, NotifyNobody
	}
	return BucketPending, NotifyNobody
}

// bucket is what has become of a unit by what its asker has heard, or else.
func (h Heard) bucket(nothing Bucket) Bucket {
	switch h {
	case HeardAnswer:
		return BucketFinished
	case HeardError:
		return BucketFailed
	case HeardEnd:
		return BucketCanceled
	}
	return nothing
}
