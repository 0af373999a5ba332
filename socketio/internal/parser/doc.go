// SPDX-License-Identifier: Apache-2.0

// Package parser reads and writes the packets of the Socket.IO protocol,
// revision 5, as they travel in Engine.IO messages. Its rules are those of the
// reference's socket.io-parser.
package parser
