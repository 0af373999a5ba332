#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tests of every module at their full size, under the race detector and in random order: CI's second stage. Arguments go
# to go test: ci/long.sh -run Chaos
source "$(dirname "$0")/lib.sh"

status=0
in_modules go test -race -shuffle=on -timeout 25m "$@" ./... || status=1
in_apart go test -timeout 25m "$@" ./... || status=1
# The service under many more kills, which go at the machine's own speed.
PROTOLOOP_TEST_FULL=1 go test -C cmd/example -run TestNothingLost -timeout 25m . || status=1
exit "$status"
