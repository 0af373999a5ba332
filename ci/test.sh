#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tests of every module, under the race detector and in random order, with -short: what goes through many combinations
# or rounds goes through a part of them. ci/long.sh runs all. Arguments go to go test: ci/test.sh -run Stop
source "$(dirname "$0")/lib.sh"

status=0
test_modules -race -short "$@" || status=1
in_apart go test -vet=off -short "$@" ./... || status=1
exit "$status"
