#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every check, in order. A failed one does not hide the next.
set -euo pipefail
cd "$(dirname "$0")"
source ./clock.sh

failed=()
for check in fmt spdx docs generate lint vuln test fuzz bench; do
	echo "== ci/$check.sh"
	"./$check.sh" || failed+=("ci/$check.sh")
done
if ((${#failed[@]} > 0)); then
	echo "failed: ${failed[*]}" >&2
	exit 1
fi
