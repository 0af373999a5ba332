# SPDX-License-Identifier: Apache-2.0

# Sourced by the scripts beside it: they run from the repository's root, on any machine with Go, git and a C compiler.
# modules has the folder of each module of go.work that has a package.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source ci/clock.sh
export GOWORK=$PWD/go.work
# The race detector lets a process wait for a second before it ends, in case goroutines are still at work that race. Tests
# leave none, and there are many processes.
export GORACE=${GORACE:-atexit_sleep_ms=0}

# go_files prints each Go file, tracked or new, ended by a NUL.
go_files() {
	local file
	git ls-files -z --cached --others --exclude-standard -- '*.go' | while IFS= read -r -d '' file; do
		if [ -e "$file" ]; then # not a deletion that is yet to be committed
			printf '%s\0' "$file"
		fi
	done
}

# folders prints each folder with a file that matches.
folders() { git grep --untracked -lE "$1" -- "${@:2}" | xargs -r dirname | sort -u; }

list_modules() {
	local dir dirs packages
	dirs=$(go list -m -f '{{.Dir}}') || return
	while IFS= read -r dir; do
		# A module that go list rejects stays in the list, so that the script that uses it fails.
		if ! packages=$(cd "$dir" && go list ./... 2>/dev/null) || [ -n "$packages" ]; then
			echo "$dir"
		fi
	done <<<"$dirs"
}

# in_modules runs a command in each module, and fails if it fails in any.
in_modules() {
	local dir status=0
	for dir in "${modules[@]}"; do
		(cd "$dir" && "$@") || status=1
	done
	return "$status"
}

# apart has the modules that go.work leaves out, so that their dependencies do not become the project's.
apart=(ci/tools socketio/internal/load/zishang)

# in_apart runs a command in each of them, and fails if it fails in any.
in_apart() {
	local dir status=0
	for dir in "${apart[@]}"; do
		(cd "$dir" && GOWORK=off "$@") || status=1
	done
	return "$status"
}

list=$(list_modules)
if [ -z "$list" ]; then
	echo "ci: go.work lists no module with a package" >&2
	exit 1
fi
mapfile -t modules <<<"$list"

# sized has the folders whose tests have two sizes, as they look at -short or import helpers that do.
short='testing\.Short\(\)'
helpers=$(folders "$short" '*.go' ':!*_test.go' | paste -sd '|')
list=$(folders "$short|\"github.com/protoloop/protoloop/($helpers)\"" '*_test.go' "${apart[@]/#/:!}")
mapfile -t sized <<<"$list"

# longest has the packages that take longest, or wait most. They go first, so that none of them is left over at the end and
# holds everything up while the other processors are idle.
longest=(./grid/hub ./actors ./cmd/example ./grid/etcd/embedded ./supervisor ./consumer/jetstream ./socketio/internal/clients ./bench)

# raced has those, the longest first, whose full size is run with the race detector. It never gives back what it holds for a goroutine:
# bench's large cases make millions, which were 12 GB. And a cluster of eleven processes would be busy with itself.
mapfile -t raced < <(printf '%s\n' "${longest[@]}" "${sized[@]/#/./}" | grep -vxE './bench|./grid/faults' | grep -xFf <(printf './%s\n' "${sized[@]}") | awk '!seen[$0]++')

# test_modules runs go test once, for every module. So packages of one module are tested while a test of another one waits,
# which they would not be by one go test a module.
#
# Vet is ci/lint.sh's.
test_modules() {
	go test -vet=off -shuffle=on "$@" "${longest[@]}" "${modules[@]/%//...}" | account
}

# account prints what go test prints, and then how long the tests of each module have run, and the ten packages that took longest.
account() {
	awk -v own=github.com/protoloop/protoloop -v dirs="${modules[*]#"$PWD"}" '
		BEGIN { split(dirs, modules) } # without the root module, which has no folder of its own
		{ print; fflush() }
		($1 == "ok" || $1 == "FAIL") && $3 ~ /^[0-9.]+s$/ {
			module = own
			for (i in modules)
				if (index($2 "/", own modules[i] "/") == 1 && length(own modules[i]) > length(module)) module = own modules[i]
			packages[module]++
			seconds[module] += $3
			took[$2] += $3
		}
		END {
			for (m in packages) printf "== module %s: the tests of %d packages ran for %.0f s\n", m, packages[m], seconds[m]
			for (n = 0; n < 10; n++) {
				slowest = ""
				for (p in took) if (slowest == "" || took[p] > took[slowest]) slowest = p
				if (slowest == "") break
				printf "== slowest %2d: %6.1f s %s\n", n + 1, took[slowest], slowest
				delete took[slowest]
			}
		}'
}
