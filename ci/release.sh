#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prepares a release: ci/release.sh v0.1.0
# Writes the version into each go.mod that requires another module of this repository, and into go.work; packs each module
# as a proxy will have it, writes the sums of that into the go.sum of those that require it, and builds each one from there,
# without go.work. Then it prints what is left to do by hand: to commit, and to push the tags.
version=${1:-}
source "$(dirname "$0")/lib.sh"

if [[ ! $version =~ ^v[01]\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]]; then
	echo "usage: ci/release.sh v0.1.0 (v2 and above would need another module path)" >&2
	exit 2
fi
if ! grep -q "^## \[${version#v}\]" CHANGELOG.md; then
	echo "ci/release.sh: CHANGELOG.md has no section [${version#v}]: move what is in [Unreleased] there" >&2
	exit 1
fi

own=github.com/protoloop/protoloop

# required prints the modules of this repository that the module in a folder requires.
required() {
	awk -v own="$own" '$1 == "require" { $1 = $2 } $1 == own || index($1, own "/") == 1 { print $1 }' "$1/go.mod" | sort -u
}

# folder_of prints the folder of a module of this repository.
folder_of() {
	local dir=${1#"$own"}
	dir=${dir#/}
	echo "${dir:-.}"
}

# Who requires another one comes after it.
list=$(
	for dir in "${modules[@]}"; do
		dir=${dir#"$PWD"}
		dir=${dir#/}
		echo "${dir:-.} ${dir:-.}"
		for module in $(required "${dir:-.}"); do
			if [ "$(folder_of "$module")" != "${dir:-.}" ]; then echo "$(folder_of "$module") ${dir:-.}"; fi
		done
	done | tsort
)
mapfile -t dirs <<<"$list"

scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"; at_exit' EXIT
(cd ci/tools && GOWORK=off go build -o "$scratch/modproxy" ./modproxy)

for dir in "${dirs[@]}"; do
	for module in $(required "$dir"); do
		go mod edit -C "$dir" -require="$module@$version"
	done
done
# Each own module at its version is where go.work says. Not by go work edit, which drops comments.
sed -i "s|^\(.*$own[^ ]* \)v[^ ]* => |\1$version => |" go.work

# Its own cache: what is packed here, before the release, may not be taken for the released one later.
export GOPROXY="file://$scratch/proxy,file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)"
export GOMODCACHE=$scratch/cache GOFLAGS="-modcacherw -trimpath" GONOSUMDB="$own,$own/*" GOPRIVATE='' GONOPROXY='' GOWORK=off
for dir in "${dirs[@]}"; do
	echo "== $dir"
	if [ "$dir" != . ]; then
		sed -i "\|^$own[ /]|d" "$dir/go.sum" # sums of what was packed before
		(cd "$dir" && go list -mod=mod -deps -test ./... >/dev/null)
	fi
	if grep -q '^replace' "$dir/go.mod"; then
		echo "ci/release.sh: $dir/go.mod has a replace directive, which go get does not follow" >&2
		exit 1
	fi
	(cd "$dir" && go vet ./...)
	"$scratch/modproxy" -version "$version" -out "$scratch/proxy" "$dir"
done

echo
echo "Each module builds as a proxy will have it. Commit this, then push the tags, all of the same commit:"
echo
for dir in "${dirs[@]}"; do
	tag=$version
	if [ "$dir" != . ]; then
		tag=$dir/$version
	fi
	echo "	git tag $tag && git push origin $tag"
done
