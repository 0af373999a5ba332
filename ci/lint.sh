#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# go vet and staticcheck for every module. ci/tools/go.mod pins staticcheck's version, staticcheck.conf lists the checks.
source "$(dirname "$0")/lib.sh"

staticcheck=$(cd ci/tools && GOWORK=off go tool -n staticcheck)

status=0
in_modules go vet ./... || status=1
in_modules "$staticcheck" ./... || status=1
in_apart go vet ./... || status=1
in_apart "$staticcheck" ./... || status=1
exit "$status"
