// SPDX-License-Identifier: Apache-2.0

// Package socketio is a Socket.IO server whose sessions are worker actors: a
// handler may await other actors and futures, while its session stays
// single-threaded and ordered.
//
//	io := socketio.NewServer(system, socketio.Options{})
//	socketio.On(io, "say", func(t *actors.Task, s *socketio.Socket, text string) error {
//		return io.To("room").Emit("said", s.ID(), text)
//	})
//	socketio.OnAck(io, "save", func(t *actors.Task, s *socketio.Socket, d Doc) (Saved, error) {
//		return actors.Ask[Saved](t, store, d) // awaits; the session's other events go on
//	})
//	mux.Handle("/socket.io/", io)
//
// It speaks revision 5 of the protocol over revision 4 of Engine.IO, by long
// polling, WebSocket and the upgrade from one to the other: the clients are those
// of Socket.IO 3 and 4. Its behavior is that of the JavaScript reference server
// 4.8; where it differs, docs/socketio.md says so.
//
// # Sessions
//
// A session is one client's connection; a [Socket] is that client in one
// namespace. All handlers of a session run on one worker, which is started when
// the client connects to its first namespace: at most one runs at any instant,
// another while it awaits. They start in the order of the client's events; an
// [Exclusive] one holds the next back until it has returned.
//
//   - [Namespace.Use] runs before the client is let in, and can refuse it.
//   - Then the client is told, and [Namespace.OnConnect] runs. The socket's
//     events wait until it has returned.
//   - Events are handled, also those that came right before the end.
//   - [Namespace.OnDisconnect] runs, once. Whatever still awaits when the client
//     has gone goes on for Options.HandlerGrace; what it emits is dropped.
//
// A handler that fails fails its event: the client's acknowledgement has the
// error. So does one that panics, with "internal error"; see [PanicPolicy].
//
// # Sending
//
// Emit may be called from any goroutine or task. It encodes, queues and returns:
// it never waits for a client. A handler that sends more than Options.MaxBuffered
// at a time awaits [Socket.Drain] in between. A broadcast is encoded once for
// all. The events of one caller keep their order at each client. Acknowledgements
// come by the future of [EmitAck].
//
// # Exposed to the world
//
// The zero [Options] accept browsers of the same origin only, and bound payload,
// attachments, namespaces, rooms, events, sessions, handshakes by address and
// what waits to be sent to a client. A client that breaks the protocol, or does
// not read, ends its own session and nothing else; [Server.Stats] counts it. What
// comes before a session, such as the size of the headers, which it keeps, is the
// http.Server's to bound: set its ReadHeaderTimeout, and a MaxHeaderBytes of 16
// KiB, say.
//
// # Stopping
//
// [Server.Stop] refuses new clients, lets handlers end, writes what is
// queued and closes the connections, and returns a [Report]. [Server.Props] is
// the same as the child of a supervisor.
package socketio
