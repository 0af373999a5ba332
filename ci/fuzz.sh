#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each fuzz target of every module, for $FUZZTIME (default 5s).
source "$(dirname "$0")/lib.sh"

fuzztime=${FUZZTIME:-5s}
# A target that makes actor systems makes megabytes of garbage a run; many workers of it must not fill the machine.
export GOMEMLIMIT=${GOMEMLIMIT:-500MiB}
log=$(mktemp)
temporary+=("$log")

# fuzz runs one target of one package.
fuzz() {
	echo "fuzz $1 $2"
	if go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" "$1" 2>&1 | tee "$log"; then
		return
	fi
	# go.dev/issue/75804: before Go 1.27 the end of -fuzztime can be taken for a failure. A real one names its input.
	if grep -q '^ *context deadline exceeded$' "$log" && ! grep -qE 'Failing input written|panic:|timed out' "$log"; then
		echo "fuzz $1 $2: only the deadline of -fuzztime, which is no failure"
		return
	fi
	return 1
}

# Only the packages that have targets are built.
mapfile -t packages < <(folders '^func Fuzz' '*_test.go' "${apart[@]/#/:!}")
listing=$(go test -vet=off -list '^Fuzz' "${packages[@]/#/./}") || { echo "$listing"; exit 1; }
status=0 targets=()
while read -r line package _; do
	case $line in
	Fuzz*) targets+=("$line") ;;
	ok) # the package of the targets above
		for target in "${targets[@]}"; do
			fuzz "$package" "$target" || status=1
		done
		targets=()
		;;
	esac
done <<<"$listing"
exit "$status"
