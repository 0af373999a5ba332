# SPDX-License-Identifier: Apache-2.0

# Sourced by the scripts beside it: each says at its end how long it took, and how much of the processors that was. Much less
# than the time by the clock is a script that waits.

temporary=() # files and folders that go at the end

at_exit() {
	local used
	used=$(mktemp)
	times >"$used"
	used=$(awk 'NR == 2 { gsub(/[ms]/, " "); printf "%.0f", 60 * ($1 + $3) + $2 + $4 }' "$used"; rm -f "$used")
	if ((${#temporary[@]} > 0)); then rm -rf "${temporary[@]}"; fi
	echo "== ci/${0##*/} took $SECONDS s, and $used s of processors"
}
trap at_exit EXIT
