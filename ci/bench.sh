#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs each benchmark of every module once: it shows that they work, not how fast they are.
source "$(dirname "$0")/lib.sh"

in_modules go test -run '^$' -bench . -benchtime 1x "$@" ./...
