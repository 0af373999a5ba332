#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs protoc, which ci/generate.sh needs for package messages. Without the right to install packages it has to be there.
set -euo pipefail

if command -v protoc >/dev/null && [ -e /usr/include/google/protobuf/duration.proto ]; then
	exit 0
fi
apt=(apt-get)
if [ "$(id -u)" -ne 0 ]; then
	apt=(sudo apt-get)
fi
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends protobuf-compiler libprotobuf-dev
