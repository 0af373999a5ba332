// SPDX-License-Identifier: Apache-2.0

// Package socketio is a Socket.IO server whose sessions are worker actors: a
// handler may await other actors and futures, while its session stays
// single-threaded and ordered.
//
//	io, err := socketio.NewServer(system, socketio.Options{})
//	socketio.On(io, "say", func(t *actors.Task, s *socketio.Socket, text string) error {
//		return io.To("room").Emit("said", s.ID(), text)
//	})
//	socketio.OnAck(io, "save", func(t *actors.Task, s *socketio.Socket, d Doc) (Saved, error) {
//		return actors.Ask[Saved](t, store, d) // awaits; the session's other events go on
//	})
//	mux.Handle("/socket.io/", io)
//
// The server speaks revision 5 of the protocol over revision 4 of Engine.IO, so it
// serves the clients of Socket.IO 3 and 4. They may use long polling, WebSocket and
// the upgrade from one to the other. The server behaves like the JavaScript
// reference server 4.8, and docs/socketio.md lists the differences.
//
// # Sessions
//
// A session is one client's connection; a [Socket] is that client in one
// namespace. All handlers of a session run on one worker, which is started when
// the client connects to its first namespace. At most one handler runs at any
// instant, and others go on while it awaits. Handlers start in the order of the
// client's events. An [Exclusive] handler holds the next event back until it has
// returned.
//
//   - [Namespace.Use] runs before the client is connected, and can refuse it.
//   - Then the client is told that it is connected, and [Namespace.OnConnect] runs.
//     The socket's events wait until OnConnect has returned.
//   - Events are handled, also those that came right before the end.
//   - [Namespace.OnDisconnect] runs, once. A handler that still awaits when the
//     client has disconnected goes on for Options.HandlerGrace; what it emits is
//     dropped.
//
// When a handler returns an error, the client's acknowledgement has that error.
// When it panics, the acknowledgement has "internal error"; see [PanicPolicy].
//
// # Sending
//
// Any goroutine or task may call Emit. It encodes, queues and returns, and never
// waits for a client. A handler that sends more than Options.MaxBuffered at a time
// awaits [Socket.Drain] in between. A broadcast is encoded once for all clients.
// The events of one caller keep their order at each client. An acknowledgement
// completes the future of [EmitAck].
//
// # Exposed to the world
//
// The zero [Options] accept browsers of the same origin only, and bound payload,
// attachments, namespaces, rooms, events, sessions, handshakes by address and
// what waits to be sent to a client. A client that breaks the protocol, or does
// not read, ends its own session and nothing else; [Server.Stats] counts it. The
// http.Server has to bound what comes before a session, such as the headers, which
// the session keeps: set its ReadHeaderTimeout, and a MaxHeaderBytes of, say, 16
// KiB.
//
// # Stopping
//
// [Server.Stop] refuses new clients, lets handlers end, writes what is queued,
// closes the connections, and returns a [Report]. [Server.Props] makes the server
// the child of a supervisor, which stops it in the same way.
package socketio
