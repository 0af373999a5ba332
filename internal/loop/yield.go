// SPDX-License-Identifier: Apache-2.0

package loop

// yieldPoint is a place between two steps that other goroutines can see: there a test may
// have others go first, for as long as it likes.
type yieldPoint uint8

const (
	atEnter       yieldPoint = iota // before the runner's word says that a turn is in user code
	atLeave                         // before it says that the turn is over
	atLeaveSlow                     // … when somebody looks or has looked: between reading and changing the word
	atWaitLooked                    // before the runner waits for whoever looks
	atPin                           // between reading and pinning
	atUnpin                         // while the word is pinned
	atUnpinStore                    // when the runner has been found to wait
	atUnpinCall                     // before it is called
	atServe                         // between "serves the loop" and "runs it"
	atTakeUp                        // between reading who runs the loop and changing it
	atLookAlone                     // before a looker takes the runner's place
	atLookedAlone                   // before he gives it back
	atForget                        // before a lost runner's place is given up
	atTakeover                      // between taking a turn and ending its tasks
	atPush                          // between reading and changing the head of an inbox
	atPushWake                      // between filling an idle inbox and calling a runner
	atTake                          // before the inbox is emptied
	atSleep                         // before the idle mark is set
	atArm                           // between leaving user code and being armed
	atWake                          // before an armed task is woken
	atWakePush                      // between waking and queueing it
	atFire                          // between the mark that a timer has fired and queueing that
	atBatch                         // before a loop is taken out of a batch
	atArrive                        // between finding a place for a loop that was idle and taking it
	atArrived                       // before others see that the loop is there
	atTakeArrival                   // between finding a loop that was idle and taking it
	yieldPoints
)
