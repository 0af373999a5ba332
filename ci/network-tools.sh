#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests of grid/faults need beside Go and root: Debian's iproute2, for network namespaces. Without the right to
# install packages it has to be there.
set -euo pipefail

if command -v ip >/dev/null; then
	exit 0
fi
apt=(apt-get)
if [ "$(id -u)" -ne 0 ]; then
	apt=(sudo apt-get)
fi
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends iproute2
