#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Short suites where the machine or the build is another. Each such leg has a name:
#
#	one     one processor, and goroutines that know who made them
#	many    sixteen processors
#	plain   nothing of this project inlined or optimized
#	next    the next Go, whose toolchain the go command gets: every module
#	gomod   whether that would write go.mod otherwise
#
# ci/legs.sh runs all, ci/legs.sh one next runs those two. What begins with a dash, and all after it, goes to go test:
# ci/legs.sh many -run Stop
source "$(dirname "$0")/lib.sh"

next=go1.27.3

# scheduled has the packages that make or move goroutines, loops or coroutines, or are tested with many of them. What parses,
# prints or is an example does nothing else on another number of processors.
scheduled=(. ./actors/... ./actortest ./consumer ./grid ./grid/state ./grid/remind ./internal/... ./socketio ./supervisor)

short() { go test -vet=off -short -shuffle=on -timeout 15m "$@" "${scheduled[@]}" | account; }

leg_one() { GOMAXPROCS=1 GODEBUG=tracebackancestors=5 short "$@"; }
leg_many() { GOMAXPROCS=16 short "$@"; }
# The code of others stays as they have it: -gcflags=all would compile all of it, too.
leg_plain() { short '-gcflags=github.com/protoloop/protoloop/...=-N -l' "$@"; }
leg_next() { GOTOOLCHAIN=$next test_modules -short -timeout 15m "$@"; }
# A go.mod that another Go would write otherwise is a change for whoever uses it.
leg_gomod() {
	local before
	before=$(sha256sum go.mod go.sum)
	GOTOOLCHAIN=$next GOWORK=off go list -mod=mod -deps ./... >/dev/null && [ "$before" = "$(sha256sum go.mod go.sum)" ]
}

legs=()
while (($# > 0)) && [[ $1 != -* ]]; do
	if ! declare -F "leg_$1" >/dev/null; then
		echo "ci/legs.sh: no leg is called $1" >&2
		exit 2
	fi
	legs+=("$1")
	shift
done
if ((${#legs[@]} == 0)); then
	legs=(one many plain next gomod)
fi

failed=()
for name in "${legs[@]}"; do
	echo "== leg $name"
	began=$SECONDS
	"leg_$name" "$@" || failed+=("$name")
	echo "== leg $name took $((SECONDS - began)) s"
done
if ((${#failed[@]} > 0)); then
	echo "failed: ${failed[*]}" >&2
	exit 1
fi
