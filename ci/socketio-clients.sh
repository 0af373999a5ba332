#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests of socketio/internal/clients need: npm's reference server and clients into that folder, with its
# admin UI, which a test of cmd/example drives, and Debian's python3-socketio. Needs node and npm 10 or newer; without the right to install packages, Debian's have to be there.
set -euo pipefail
cd "$(dirname "$0")/../socketio/internal/clients"

npm ci --no-fund --no-audit --ignore-scripts

if ! /usr/bin/python3 -c 'import socketio, aiohttp' 2>/dev/null; then
	apt=(apt-get)
	if [ "$(id -u)" -ne 0 ]; then
		apt=(sudo apt-get)
	fi
	"${apt[@]}" update
	"${apt[@]}" install -y --no-install-recommends python3-socketio python3-engineio python3-aiohttp
fi
