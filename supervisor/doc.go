// SPDX-License-Identifier: Apache-2.0

// Package supervisor keeps workers and plain Proto.Actor actors alive, and
// stops them in order, with an account of their work. It follows the semantics
// of OTP's supervisor, except where Deviations from OTP below says otherwise.
//
// [Start] starts a supervisor. A supervisor is an actor that starts the children
// of its [Spec] in order, each when the one before is up, restarts those that
// fail, and stops them in reverse. [Run] does that for the life of a process. A
// supervisor can be a child of another ([Props]), so supervisors make trees. A
// [Dynamic] has many children of one kind.
//
// # Terms
//
//	OTP                          here
//	supervisor, sup_flags        Supervisor, Spec
//	child_spec, id               Child, Name: the PID is the supervisor's/name
//	one_for_one, one_for_all,    OneForOne, OneForAll, RestForOne
//	  rest_for_one
//	simple_one_for_one           Dynamic
//	permanent, transient,        Permanent, Transient, Temporary
//	  temporary
//	intensity, period            MaxRestarts, Within: 1 in 5 s; of a Dynamic no limit
//	auto_shutdown, significant   AutoShutdown, Significant
//	shutdown: timeout, infinity, Shutdown: a grace, actors.Forever,
//	  brutal_kill                  actors.NoGrace; and Abandon
//	start_link returns           setup has returned nil; a plain actor has handled Started
//	normal exit                  Main returns nil, Exit(nil), IdleAfter, a stop by somebody else
//	abnormal exit                a panic in a handler, an error of Main, Background or setup
//	start_child                  Supervisor.Add, Dynamic.Start, Dynamic.GetOrStart
//	terminate_child, delete_child  Remove
//	restart_child                Restart
//	which_children               Children
//	exit reason of a supervisor  Err: IntensityError, EscalateError; nil
//
// # The life of a child
//
// The states that [ChildInfo] has, and what leads from one to another (generated from life.Child by go generate):
//
//	gone     → starting  it is spawned
//	starting → gone      it ends
//	                     it does not end, and is abandoned
//	         → up        setup succeeds
//	         → failed    setup takes longer than StartTimeout
//	                     it fails
//	         → quiesced  nothing of it runs any more, for a restart
//	         → stopping  its stop
//	up       → gone      it ends by itself, or somebody else stops it
//	                     it does not end, and is abandoned
//	         → failed    it fails
//	         → quiesced  nothing of it runs any more, for a restart
//	         → stopping  its stop event is set, by itself or somebody else
//	                     its stop
//	failed   → gone      it ends
//	                     it does not end, and is abandoned
//	         → starting  its restart
//	         → quiesced  nothing of it runs any more, for a restart
//	         → stopping  its stop
//	                     its stop, before anybody has dealt with its failure
//	quiesced → gone      it ends
//	                     it does not end, and is abandoned
//	         → starting  its restart
//	         → stopping  its stop
//	stopping → gone      it ends
//	                     it does not end, and is abandoned
//	         → failed    it fails
//	         → quiesced  nothing of it runs any more, for a restart
//
// A child that fails suspends itself in the same turn, so no message reaches the
// incarnation that has failed. The tasks in flight fail with ErrRestarted at
// once, with the cause. What is queued keeps its place and its futures, and the
// PID stays. A sibling that restarts with the child is quiesced in the same way,
// the last started first, and keeps its queue. Each child has its own wait
// before a restart ([actors.Backoff]); a stop, Remove or Restart ends the wait.
//
// The error of a child can say that it wants no restart ([ErrDoNotRestart])
// or that its supervisor should fail ([ErrEscalate]). A [CrashPolicy] says
// what happens to the message whose handler panicked.
//
// # Restart intensity
//
// More than MaxRestarts restarts within Within end the supervisor. Its children
// stop, with their state, and the supervisor fails. Its own supervisor counts
// that as a restart. At the root, the failure ends [Run], and so the process.
// The limit is for a fault that a restart does not cure, such as a setup that
// fails each time.
//
// The default of a Spec is OTP's: one restart in five seconds, for all children
// together. It suits a few children that hardly ever fail. It is too little where
// users send the messages: two messages that make a handler panic within five
// seconds end all children. For such a supervisor
//   - set MaxRestarts to the number of failures that can still be chance,
//   - have handlers return an error where they can: that is an answer, and no
//     failure,
//   - give the children a Backoff.
//
// A child with a Backoff uses up one restart for a row of failures, however long
// the row is. The row is over when the child has been up for its ResetAfter. So an
// outage of what it needs, such as the server that it polls, is one failure and
// not one for each try, and the child is there again when the outage is over. A
// limit that counted each try would have to be higher than the number of short
// waits at the beginning, for all children that the outage concerns. It would then
// be of no use against what it is for, a tight loop of failures, which a Backoff
// does not let come about. A child that should give up all the same returns
// [ErrEscalate]. A child whose ResetAfter is Within / MaxRestarts or longer
// cannot exceed the intensity by itself.
//
// All tries of a message ([CrashPolicy]) count as one restart. A Dynamic has no
// limit unless you set one. Without a limit its children have a Backoff.
//
// # The stop
//
// [Supervisor.Stop] sets the stop event of one child after the other. From then on
// a child refuses new work. It goes on with what it has accepted for as long as
// its Shutdown says, and is then cut off. A task that does not return is
// abandoned and named, with its stack, because Go cannot end a goroutine. The
// [Report] accounts for all of this.
//
// A child that fails during its stop goes on with what it has accepted:
//   - A worker goes on with the state it has, as after a panic in a submitted
//     function.
//   - A worker that failed just before the stop event, or a plain actor, is
//     restarted for the rest of its queue, if its Restart says so. That restart
//     comes without a wait and does not count. A child that does not come up then
//     is cut off.
//   - A child that waits for its restart cannot go on: its queue fails with
//     ErrStopping, and has not run.
//
// The engine's Stop on a supervisor cuts off the whole tree at once. The
// engine's Poison is a stop that may take a minute.
//
// # Deviations from OTP
//
//   - Siblings of a group restart do not get their Shutdown. Their tasks in
//     flight end at once, because the askers are told so and can try again. The
//     queue is kept, where OTP loses it. Temporary siblings and supervisors are
//     stopped as in OTP.
//   - A failure while the group starts is dealt with at once, not after the
//     start. The child that starts may be waiting for the one that has failed,
//     whose mailbox is suspended; OTP's call would fail there.
//   - A supervisor that exceeds its intensity fails with an error. In OTP it
//     exits with shutdown, a normal exit, so that a transient one stays down.
//   - The tries of one message count as one restart. OTP has no retries.
//   - A Dynamic without MaxRestarts has no limit. In OTP simple_one_for_one has
//     the limit of all supervisors.
//   - A restart that failed takes the child's backoff. OTP has no backoff, and
//     tries again at once. A row of failures of a child with a Backoff is one
//     restart; without one each restart counts, as in OTP.
//   - Remove is terminate_child and delete_child in one, because Restart does all
//     that a Spec that is down could be used for. Restart also restarts a child
//     that runs; in OTP that is an error.
//   - A child that is up, if only for a moment, has started: its failure follows
//     the table. In OTP a child has started when its start_link has returned.
//   - A plain actor that does not return cannot be killed. Its name stays taken
//     until it returns. To start it again before that fails, and counts as a
//     failure.
//   - Within is exact to the nanosecond. OTP counts in whole seconds.
//   - A start has a StartTimeout. OTP waits for ever for a start.
//
// # Plain actors
//
// An actor without an event loop keeps the engine's mailbox. It is restarted with
// its queue, and stopped, like other children. But it has no account and no
// retries, and Started is all that shows when it is up. A message to its name
// waits while the actor is being spawned; in the engine the sender would panic.
//
// After Stopping, a plain actor waits for its children. It handles no more
// messages: what is in its mailbox becomes a dead letter. It cannot start a child
// then: SpawnNamed fails with actors.ErrStopped, or with actors.ErrRestarted after
// Restarting, and Spawn panics with that error. In the engine it would still
// handle messages, and would wait for ever for a child that it starts then.
//
// # Functions of users
//
// OnEvent and OnCrash.DeadLetter run on goroutines of their own, in order.
// Producers and functions on init run in the supervisor; if one panics, the
// start fails.
package supervisor
