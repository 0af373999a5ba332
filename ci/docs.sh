#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fails if an exported name or a package has no doc comment.
source "$(dirname "$0")/lib.sh"

go_files | (cd ci/tools && GOWORK=off go run ./doccheck -root ../..)
