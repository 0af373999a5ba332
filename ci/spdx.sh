#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fails if a source file does not say its license in one of its first lines, and names each. ci/spdx.sh -w adds the line.
# A generated file has it from what it is generated of; a file of somebody else's stands with its own license beside it.
source "$(dirname "$0")/lib.sh"

line='SPDX-License-Identifier: Apache-2.0'

# comment prints the line as a comment in a file's own language.
comment() {
	case $1 in
	*.sh | *.py | .ci/run) echo "# $line" ;;
	*.css) echo "/* $line */" ;;
	*.html) echo "<!-- $line -->" ;;
	*) echo "// $line" ;;
	esac
}

# add_line puts it first, or after the line that has to be: the interpreter's, or HTML's doctype. A blank line follows,
# so that it is not taken for a part of the comment below.
add_line() {
	local first rest
	IFS= read -r first <"$1" || true
	rest=$(mktemp)
	case $first in
	'#!'* | '<!DOCTYPE'*)
		{ printf '%s\n' "$first" && comment "$1" && tail -n +2 "$1"; } >"$rest"
		;;
	*)
		{ comment "$1" && echo && cat "$1"; } >"$rest"
		;;
	esac
	cat "$rest" >"$1" # which keeps its mode
	rm "$rest"
}

status=0
while IFS= read -r -d '' file; do
	case $file in
	*.min.js | */testdata/fuzz/*) continue ;;
	esac
	if [ ! -e "$file" ] || head -n 3 "$file" | grep -qF "$line"; then
		continue
	fi
	if [ "${1:-}" = -w ]; then
		add_line "$file"
	else
		echo "no license in its first lines; run ci/spdx.sh -w: $file" >&2
		status=1
	fi
done < <(git ls-files -z --cached --others --exclude-standard -- '*.go' '*.s' '*.sh' '*.py' '*.js' '*.cjs' '*.css' '*.html' '*.proto' .ci/run)
exit "$status"
