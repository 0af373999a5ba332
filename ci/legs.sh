#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Short suites where the machine or the build is another: one processor, many, nothing inlined, and the next Go, whose
# toolchain the go command gets. Arguments go to go test: ci/legs.sh -run Stop
source "$(dirname "$0")/lib.sh"

next=go1.27.3

failed=()
leg() { # name, then what runs
	local name=$1
	shift
	echo "== $name"
	"$@" || failed+=("$name")
}
short=(go test -short -shuffle=on -timeout 10m)

leg 'GOMAXPROCS=1' env GOMAXPROCS=1 "${short[@]}" "$@" ./...
leg 'GOMAXPROCS=16' env GOMAXPROCS=16 "${short[@]}" "$@" ./...
leg 'without inlining' "${short[@]}" '-gcflags=all=-N -l' "$@" ./...
GOTOOLCHAIN=$next leg "$next" in_modules "${short[@]}" "$@" ./...
# A go.mod that another Go would write otherwise is a change for whoever uses it.
keeps_go_mod() {
	local before
	before=$(sha256sum go.mod go.sum)
	GOTOOLCHAIN=$next GOWORK=off go list -mod=mod -deps ./... >/dev/null && [ "$before" = "$(sha256sum go.mod go.sum)" ]
}
leg "go.mod as of $next" keeps_go_mod

if ((${#failed[@]} > 0)); then
	printf 'failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
