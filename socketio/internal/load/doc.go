// SPDX-License-Identifier: Apache-2.0

// Command load measures the server against npm's reference server and
// zishang520's in Go, all under the same generator, and prints a table:
//
//	ci/socketio-clients.sh              # installs the reference
//	go run ./socketio/internal/load
//
// Each server and the generator are processes of their own. The generator's
// clients are bare WebSockets that know just enough of the protocol, so that
// it takes as little as it can of the processors that it shares with the server;
// its share is in the table.
package main
