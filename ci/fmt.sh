#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fails if gofmt would change a Go file, and names each.
source "$(dirname "$0")/lib.sh"

unformatted=$(go_files | xargs -0 -r gofmt -l)
if [ -n "$unformatted" ]; then
	printf 'Run gofmt -w on:\n%s\n' "$unformatted" >&2
	exit 1
fi
