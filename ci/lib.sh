# SPDX-License-Identifier: Apache-2.0

# Sourced by the scripts beside it: they run from the repository's root, on any machine with Go, git and a C compiler.
# modules has the folder of each module of go.work that has a package.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=$PWD/go.work

# go_files prints each Go file, tracked or new, ended by a NUL.
go_files() {
	local file
	git ls-files -z --cached --others --exclude-standard -- '*.go' | while IFS= read -r -d '' file; do
		if [ -e "$file" ]; then # not a deletion that is yet to be committed
			printf '%s\0' "$file"
		fi
	done
}

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
