#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes list.pb.go from list.proto, as messages/generate.sh does for its own.
set -euo pipefail
cd "$(dirname "$0")"

command -v protoc >/dev/null || {
	echo "generate.sh: protoc not found: install the Debian package protobuf-compiler" >&2
	exit 1
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/protoc-gen-go" google.golang.org/protobuf/cmd/protoc-gen-go
protoc -I protoloop/example/list=. --plugin="$tmp/protoc-gen-go" \
	--go_out=. --go_opt=module=github.com/protoloop/protoloop/cmd/example/internal/service/listpb list.proto
