#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fails if go generate would change what is committed, and shows how. Without protoc packages of messages are left out, unless
# CI_REQUIRE is set.
source "$(dirname "$0")/lib.sh"

generate() {
	local folder
	while IFS= read -r folder; do
		if [[ $folder == messages || $folder == */listpb ]] && ! command -v protoc >/dev/null && [ -z "${CI_REQUIRE:-}" ]; then
			echo "ci/generate.sh: protoc not found: $folder is not generated anew; Debian's protobuf-compiler has it" >&2
			continue
		fi
		go generate -C "$folder" . || return
	done < <(folders '^//go:generate ' '*.go')
}

# What is not committed yet is not held against the generators: only what they change.
before=$(git diff | sha256sum)
generate
if [ "$before" != "$(git diff | sha256sum)" ]; then
	echo "go generate has changed this; commit it:" >&2
	git --no-pager diff --exit-code
	exit 1
fi
