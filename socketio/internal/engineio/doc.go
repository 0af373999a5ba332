// SPDX-License-Identifier: Apache-2.0

// Package engineio is the server side of the Engine.IO protocol, revision 4:
// long polling, WebSocket, the upgrade from one to the other, heartbeat and
// close. It knows no Socket.IO; package socketio builds on it.
//
// # Goroutines
//
// A WebSocket session that is idle has one goroutine, which reads. Whoever
// sends puts frames into the session's queue and, if nobody is writing them
// already, starts a goroutine that writes until the queue is empty. A polling
// session has none of its own: its requests serve it. One timer a session does
// the heartbeat.
//
// # Ownership
//
// A session's state is guarded by its mutex, which is never held while anything
// is read, written or called back. What comes in is handed to the session's
// [Handler] under a second lock, so that a handler sees one packet at a time,
// in the order of arrival, whatever transport it came by.
package engineio
