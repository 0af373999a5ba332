#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests of cmd/example and cmd/protoloop need beside Go: Chromium, axe-core from npm, into
# $PROTOLOOP_TOOLS or the user's cache folder, a terminal (tmux), OpenSSL, and Debian's python3-socketio with what its client needs.
# Without the right to install packages they have to be there.
set -euo pipefail

axe=${PROTOLOOP_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/protoloop-tools}/axe
if [ ! -e "$axe/node_modules/axe-core/axe.min.js" ]; then
	mkdir -p "$axe"
	npm install --prefix "$axe" --no-fund --no-audit --no-save --ignore-scripts --loglevel=error axe-core@4.11.0
fi

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v tmux >/dev/null || missing+=(tmux)
command -v script >/dev/null || missing+=(bsdutils)
command -v openssl >/dev/null || missing+=(openssl)
/usr/bin/python3 -c 'import socketio, aiohttp' 2>/dev/null || missing+=(python3-socketio python3-engineio python3-aiohttp)
/usr/bin/python3 -c 'import requests' 2>/dev/null || missing+=(python3-requests)
/usr/bin/python3 -c 'import websocket' 2>/dev/null || missing+=(python3-websocket)
if ((${#missing[@]} == 0)); then
	exit 0
fi
apt=(apt-get)
if [ "$(id -u)" -ne 0 ]; then
	apt=(sudo apt-get)
fi
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}"
