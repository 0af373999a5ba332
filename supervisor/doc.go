// SPDX-License-Identifier: Apache-2.0

// Package supervisor keeps workers and plain Proto.Actor actors alive, and
// stops them in an orderly way with an account of their work. Its semantics
// are those of OTP's supervisor, but for what Deviations from OTP lists below.
//
// [Start] starts a supervisor: an actor that starts the children of its [Spec]
// in order, each when the one before is up, restarts those that fail, and
// stops them in reverse. [Run] does that for the life of a process. A supervisor can
// be a child of another ([Props]), so supervisors make trees. A [Dynamic] has many
// children of one kind.
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
//	normal exit                  Main returns nil, Exit(nil), a stop by somebody else
//	abnormal exit                a panic in a handler, an error of Main, Background or setup
//	start_child                  Supervisor.Add, Dynamic.Start
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
//	         → stopping  its stop
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
//
// A child that fails suspends itself in the same turn: no message reaches the
// incarnation that has crashed. What was in flight is told ErrRestarted at
// once, with the cause; what waits keeps its place, and its futures. The PID
// stays. A sibling that restarts with it is brought to rest in the same way,
// the last started first, and keeps its queue. The wait before a restart
// ([Backoff]) is the child's own, and a stop, Remove or Restart ends it.
//
// A child says by its error that it wants no restart (actors.ErrDoNotRestart)
// or that its supervisor should fail (actors.ErrEscalate). The message whose
// handler panicked follows [CrashPolicy].
//
// # Restart intensity
//
// More than MaxRestarts within Within end the supervisor: its children stop,
// with their state, and it fails, which counts as a restart of its own
// supervisor's. The one at the root ends [Run], and so the process. This is for
// a fault that a restart does not mend, such as a setup that fails each time.
//
// The default of a Spec is OTP's, one restart in five seconds, of all children
// together. It suits a few children that hardly ever fail. Where users send
// the messages, two that make a handler panic within five seconds end all
// children. So give such a supervisor MaxRestarts that says how many failures
// in a row are no longer chance; have handlers return an error where they can,
// which is an answer and no failure; and give children a [Backoff].
//
// A Backoff alone does not carry a child through an outage of what it needs, such
// as the server that it polls: the first waits are short, and each of them takes a
// restart of the budget. With Initial 1 s and Jitter 0.5 the first minute takes
// seven at most, later ones fewer, so that {MaxRestarts: 10, Within: time.Minute} has
// room for one such child, and {MaxRestarts: 5, Within: time.Minute} ends after
// half a minute. Waits of Within / MaxRestarts or more cannot exceed the intensity
// alone. A child under a [Dynamic] of its own has no limit.
//
// All tries of a message ([CrashPolicy]) are one restart. A Dynamic has no limit
// unless it is given one, and its children have a Backoff then.
//
// # The stop
//
// [Supervisor.Stop] sets the stop event of one child after the other. A child
// refuses new work, goes on with what it has accepted for its Shutdown, and
// is then cut off. What does not return is abandoned and named, with its
// stack: Go can end no goroutine. The [Report] accounts for all of it.
//
// A child that fails meanwhile goes on with what it has accepted. A worker does
// so with the state it has, as for a panic in a submitted function; one that
// has failed just before the stop event, and a plain actor, is restarted for it,
// if its Restart says so, without a wait and without taking it from the budget. If it
// does not come up then, it is cut off. One that waits for its restart has nothing that could go on: its queue fails
// with ErrStopping, and has not run.
//
// The engine's Stop on a supervisor cuts off the whole tree at once; its
// Poison is a stop that may take a minute.
//
// # Deviations from OTP
//
//   - Siblings of a group restart are not given their Shutdown: what is in
//     flight ends at once, because it is told so and can be tried again, and
//     the queue is kept, which OTP loses. Temporary siblings and supervisors
//     are stopped as OTP does.
//   - A failure while the group starts is dealt with at once, not after the
//     start: the one that starts may wait for the one that has failed, whose
//     mailbox is suspended, where OTP's call would fail.
//   - A supervisor that exceeds its intensity fails with an error. In OTP it
//     exits with shutdown, a normal exit, so that a transient one stays down.
//   - The tries of one message count as one restart. OTP has no retries.
//   - A Dynamic without MaxRestarts has no limit, where simple_one_for_one has
//     that of all supervisors.
//   - A restart that failed takes the child's backoff; OTP has none, and tries
//     again at once.
//   - Remove is terminate_child and delete_child in one, because a Spec that
//     is down has no use here that Restart does not have. Restart restarts what
//     runs, too; in OTP that is an error.
//   - A child that is up for a moment has started: its failure follows the
//     table. In OTP so has one whose start_link returned.
//   - A plain actor that does not return cannot be killed. Its name stays
//     taken until it does; starting it again fails, which counts as a failure.
//   - A restart within Within is one that is not older, to the nanosecond; OTP
//     counts in whole seconds.
//   - StartTimeout: OTP waits for ever for a start.
//
// # Plain actors
//
// An actor without an event loop keeps the engine's mailbox. It is restarted,
// with its queue, and stopped like others, but it has no account, no retries
// and no state to hear of but Started. What is sent to its name while it is
// being spawned waits for it; in the engine it would panic in its sender.
//
// When it has handled Stopping it waits for its children. It gets no message any
// more: what is in its mailbox becomes a dead letter. Nor does it start a child:
// SpawnNamed fails with actors.ErrStopped, after Restarting with
// actors.ErrRestarted, and Spawn panics with that. In the engine it handles
// messages, and waits for ever for a child that it starts then.
//
// # Functions of users
//
// OnEvent and OnCrash.DeadLetter run on goroutines of their own, in order.
// Producers and functions on init run in the supervisor; if they panic, the
// start has failed.
package supervisor
