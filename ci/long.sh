#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tests at their full size, under the race detector and in random order: CI's second stage. It leaves out packages whose
# tests have but one size: ci/test.sh has run them. Arguments go to go test: ci/long.sh -run Chaos
source "$(dirname "$0")/lib.sh"

status=0
# part runs one command, and says how long it took.
part() {
	local name=$1 began=$SECONDS
	shift
	"$@" || status=1
	echo "== part $name took $((SECONDS - began)) s"
}

full() { go test -vet=off -timeout 25m "$@" | account; }

part raced full -race -shuffle=on "$@" "${raced[@]}"
part bench full -shuffle=on "$@" ./bench
# The simulation of 1,000 nodes takes ten times as long with the race detector, and is smaller there.
part simulation full -run 'TestSimulation$' "$@" ./grid
# Network namespaces are root's. The test builds the hub, so it needs the path of the go command.
as_root=()
if [ "$(id -u)" -ne 0 ] && sudo -n true 2>/dev/null; then as_root=(-exec "sudo -E env PATH=$PATH"); fi
part faults full "${as_root[@]}" "$@" ./grid/faults
part apart in_apart go test -vet=off -timeout 25m "$@" ./...
# The service under many more kills, which go at the machine's own speed.
part kills env PROTOLOOP_TEST_FULL=1 go test -vet=off -run TestNothingLost -timeout 35m ./cmd/example
exit "$status"
