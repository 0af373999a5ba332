// SPDX-License-Identifier: Apache-2.0

// Package admin lets the official admin UI of Socket.IO look at a server, and act on it: its
// servers, namespaces, sockets, rooms, clients and events; join, leave, emit, disconnect. It
// speaks the protocol of npm's @socket.io/admin-ui 0.5, whose page connects to the namespace
// that [New] makes.
//
// The page is not in this package: it is 4.6 MB, and loads fonts from other hosts. The folder
// ui/dist of the npm package is a static site; serve it, or use the one at
// https://admin.socket.io. Its origin has to be one of the server's AllowedOrigins, with
// AllowCredentials, unless that is the server's own.
//
// # What is shown
//
// Less than by the reference, as headers, queries and arguments have secrets in them: of a
// socket's handshake the address, the time and the browser's name, no other headers, no query, and no
// data; of events the names, and the arguments only with Options.Arguments. A client is shown
// by [socketio.Socket.SessionID], and not by Engine.IO's id, which would let whoever reads it speak
// for the client.
//
// As long as nobody has logged in, the server pays for none of this.
package admin
