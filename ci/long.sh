#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tests at their full size, under the race detector and in random order: CI's second stage. It leaves out packages whose
# tests have but one size: ci/test.sh has run them. Arguments go to go test: ci/long.sh -run Chaos
source "$(dirname "$0")/lib.sh"

# Tests have two sizes if they look at -short, or import helpers that do.
short='testing\.Short\(\)'
helpers=$(folders "$short" '*.go' ':!*_test.go' | paste -sd '|')
list=$(folders "$short|\"github.com/protoloop/protoloop/($helpers)\"" '*_test.go' "${apart[@]/#/:!}")
mapfile -t sized <<<"$list"

# The race detector never gives back what it holds for a goroutine. The table's large cases make millions: 12 GB. And a cluster of eleven
# processes would be busy with itself.
raced=() status=0
for folder in "${sized[@]}"; do
	case $folder in bench | grid/faults) ;; *) raced+=("./$folder") ;; esac
done
go test -vet=off -race -shuffle=on -timeout 25m "$@" "${raced[@]}" | account || status=1
go test -vet=off -shuffle=on -timeout 25m "$@" ./bench || status=1
# The simulation of 1,000 nodes takes ten times as long with the race detector, and is smaller there.
go test -vet=off -run 'TestSimulation$' -timeout 25m "$@" ./grid || status=1
# Network namespaces are root's. The test builds the hub, so it needs the path of the go command.
as_root=()
if [ "$(id -u)" -ne 0 ] && sudo -n true 2>/dev/null; then as_root=(-exec "sudo -E env PATH=$PATH"); fi
go test -vet=off -timeout 25m "${as_root[@]}" "$@" ./grid/faults || status=1
in_apart go test -vet=off -timeout 25m "$@" ./... || status=1
echo "== ci/long.sh took $SECONDS s, but for the service under many more kills, which go at the machine's own speed"
PROTOLOOP_TEST_FULL=1 go test -vet=off -run TestNothingLost -timeout 35m ./cmd/example || status=1
exit "$status"
