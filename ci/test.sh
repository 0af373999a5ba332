#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tests of every module, under the race detector and in random order, with -short: what goes through many combinations
# or rounds goes through a part of them. ci/long.sh runs all. With CI_LONG set, which says that it comes later, this leaves to it the
# packages that it runs so: none of their tests is run twice. Arguments go to go test: ci/test.sh -run Stop
source "$(dirname "$0")/lib.sh"

if [ -n "${CI_LONG:-}" ]; then
	list=$(go list -f '{{.Dir}}' "${modules[@]/%//...}")
	mapfile -t once < <(grep -vxFf <(printf '%s\n' "${raced[@]}" | sed "s|^\.|$PWD|; s|/\.$||") <<<"$list")
	go test -vet=off -race -short -shuffle=on "$@" "${once[@]}" | account
	exit
fi
status=0
test_modules -race -short "$@" || status=1
in_apart go test -vet=off -short "$@" ./... || status=1
exit "$status"
