// SPDX-License-Identifier: Apache-2.0

// Package grid has workers that are asked by a kind and a key, such as the account with the
// number 7, and not by the PID of an actor. The worker of a key is started by its first message,
// and let go when it has been idle: that is the get-or-create that a service with a worker for
// each customer needs (Orleans calls them grains, Akka sharded entities).
//
//	pid := g.PID("account", "7")
//	balance, err := actors.Ask[*pb.Money](t, pid, &pb.Deposit{Cents: 100})
//
// All this is in one process: there is no socket and no file. With a [Store], such as that of grid/etcd, several processes,
// the nodes of a cluster, share the keys, and each has the workers of its own only. With a [Net]
// they ask each other: nothing changes where a key is asked, on whatever node it is.
//
// # What holds
//
//   - However many ask a key for the first time, its setup runs once, and one worker answers all.
//     A setup that awaits holds up its own key only.
//   - There is never a moment with two workers of a key: the next begins when the last task of
//     the former has ended, or was abandoned and named.
//   - Nothing is lost between a worker that ends because it is idle, or by its own Exit, and the
//     next: what comes meanwhile waits for that. The order of one sender's messages to a key
//     stays.
//   - A worker that fails is restarted, and keeps what has not started. One that fails too often
//     ends alone; what had not started fails with [actors.ErrUnavailable], and has not run.
//   - What would stop or control an actor is refused, and so is all that the kind does not name
//     in Accepts.
//   - Messages and answers are copied by protobuf, in one process, too, so that no pointer is
//     shared; see [Kind].
//   - In a cluster that holds for all its nodes: a node begins when the store has acknowledged
//     that it owns the shard of the key, gives it up when the last task has ended, and cuts
//     all off when its lease is over. Of two owners the later has the greater [Token]: what a
//     process goes on with that was held meanwhile, until it has cut that off, is for the
//     token to refuse.
//   - A drain accounts for each message that was ever sent to a key.
//
// A budget and a cancel reach the work, as with any worker of this process. A request without a
// Timeout waits for as long as it takes; to another node it has 30 s, as to any PID of another
// machine.
//
// # What holds between nodes
//
//   - Each ask ends: by an answer, or by an error that says whether the work may have run. After
//     [actors.ErrNodeLost] nobody can tell. Only with [actors.Idempotent] it is asked again
//     then, with the same number: a node that has it already does not run it a second time.
//   - What has certainly not run is asked again, as long as the budget lasts, wherever the key is by
//     then: nobody was there, the node was not the owner, it was handing over, or the frame was lost.
//   - What was on its way for longer than its budget never begins.
//   - The order of one sender's messages to a key stays while the key stays where it is. A move is a
//     break in it, and so is a frame that the network has lost: what was in that comes later.
//   - Of two owners of a shard only the answers of the later one count, once there is one. An owner
//     looks at the clock of its lease before each turn and each answer.
//   - Nothing but messages that a kind accepts, answers and cancels passes between nodes. All else
//     is refused where it arrives, counted and logged.
//   - A plain send goes at most once. It is a dead letter if it is known that nobody has it.
//   - What is published to a [Topic] comes at most once, too.
//   - Rings of workers that await each other are not found across nodes.
//
// # How it is built
//
// A supervisor.Dynamic starts each child in a turn of its own loop, and keeps a record for each
// that is larger than what a key needs, while here whoever sends first starts the worker, and a
// key that is well costs a place in a map. So the workers have no parent: the grid itself is
// told of their failures and ends, as a supervisor is, and keeps something for those that have
// failed only.
//
// What a node owns is decided in internal/ownership, which is pure. A member calls the store as
// that says, and tells the cluster of the grid, its host, which shards begin and end: that
// one knows the workers. So the simulation runs the member with a host that has none.
//
// Each worker is an actor with the name grid/kind/key. It is shown and counted under the name of
// its kind: see package inspect. In a handler, Self is the actor of the moment; give others the
// PID of the key.
package grid
