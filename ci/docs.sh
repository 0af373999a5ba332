#!/usr/bin/env bash
# Fails if an exported name or a package has no doc comment.
source "$(dirname "$0")/lib.sh"

go_files | (cd ci/tools && GOWORK=off go run ./doccheck -root ../..)
