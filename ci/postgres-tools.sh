#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests of grid/state/pgstate need beside Go: Debian's postgresql, a server. Without the right to install
# packages it has to be there.
set -euo pipefail

if command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
	exit 0
fi
apt=(apt-get)
if [ "$(id -u)" -ne 0 ]; then
	apt=(sudo apt-get)
fi
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends postgresql
