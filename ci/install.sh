#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs everything that some tests need beside Go: Debian packages, npm packages and a Node.js. Without it those tests
# are skipped, and say which script installs what they lack.
set -euo pipefail
cd "$(dirname "$0")"
source ./clock.sh

# A test builds an older version, which it takes from the history.
if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
	git fetch --unshallow || echo "ci/install.sh: the history cannot be fetched; the test of an older version is skipped" >&2
fi

for script in generate-tools socketio-clients consumer-tools service-tools telemetry-tools postgres-tools network-tools; do
	echo "== ci/$script.sh"
	"./$script.sh"
done
