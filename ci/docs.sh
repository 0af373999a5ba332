#!/usr/bin/env bash
# Fails if an exported name or a package has no doc comment, or a hand-written Go file has over 400 lines.
source "$(dirname "$0")/lib.sh"

go_files | (cd ci/tools && GOWORK=off go run ./doccheck -root ../..)
