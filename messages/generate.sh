#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes messages.pb.go from messages.proto. protoc-gen-go has the version that go.mod names; protoc is the machine's.
set -euo pipefail
cd "$(dirname "$0")"

need() {
	echo "generate.sh: $1: install the Debian packages protobuf-compiler and libprotobuf-dev, or protoc's own release" >&2
	exit 1
}
command -v protoc >/dev/null || need "protoc not found"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# protoc comes without google/protobuf/*.proto in some packagings.
echo 'syntax = "proto3"; import public "google/protobuf/duration.proto";' >"$tmp/probe.proto"
protoc -I "$tmp" -o /dev/null "$tmp/probe.proto" || need "protoc does not find google/protobuf/duration.proto"

go build -o "$tmp/protoc-gen-go" google.golang.org/protobuf/cmd/protoc-gen-go

# The virtual path is the file's name in the process-wide protobuf registry, where "messages.proto" would clash with others.
protoc -I protoloop/messages=. \
	--plugin="$tmp/protoc-gen-go" --go_out=.. --go_opt=module=github.com/protoloop/protoloop messages.proto
