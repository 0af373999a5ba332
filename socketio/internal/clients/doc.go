// SPDX-License-Identifier: Apache-2.0

// Package clients tests the server with the real clients of the field: npm's
// socket.io-client 3.1.3 and 4.8.4, and Debian's python3-socketio. Each runs
// the same scripted session against npm's reference server and against ours,
// and has to see the same.
//
// ci/socketio-clients.sh installs what it needs. Without that the tests are
// skipped; with CI_REQUIRE=1 in the environment they fail.
package clients
