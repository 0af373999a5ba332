#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# govulncheck for every module: known vulnerabilities that the code can reach. Its data is at vuln.go.dev, or where
# GOVULNDB says. Where that cannot be reached, the script says so and checks nothing, which is no failure.
source "$(dirname "$0")/lib.sh"

version=v1.1.4
db=${GOVULNDB:-https://vuln.go.dev}
if [[ $db != file://* ]] && ! curl --silent --fail --max-time 20 --output /dev/null "$db/index/db.json"; then
	echo "ci/vuln.sh: NOT CHECKED: $db cannot be reached" >&2
	exit 0
fi
tools=$(mktemp -d)
temporary+=("$tools")
GOWORK=off GOBIN=$tools go install "golang.org/x/vuln/cmd/govulncheck@$version"
in_modules "$tools/govulncheck" -db "$db" -test ./...
