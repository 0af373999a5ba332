#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs each benchmark of every module once: it shows that they work, not how fast they are. Only the packages that have some are built.
source "$(dirname "$0")/lib.sh"

mapfile -t packages < <(folders '^func Benchmark' '*_test.go' "${apart[@]/#/:!}")
go test -vet=off -run '^$' -bench . -benchtime 1x "$@" "${packages[@]/#/./}" | account
