#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A promise that nobody tests is a wish: each numbered invariant in the README of a room, or of a folder in one, stands in
# the name of a test, as in "R7: …" or "R1, R2: …".
set -u
. "$(dirname "$0")/common.sh"

# Names of tests are strings: the number stands right after a quote, a slash, a space or a comma.
cited=$(tree_files | grep -E '^tests/.*\.(t|c)$' | tr '\n' '\0' |
    xargs -0 -r grep -hoE '(["/ ,])[A-Z][0-9]+(, [A-Z][0-9]+)*: ' | grep -oE '[A-Z][0-9]+' | sort -u)

while IFS= read -r readme; do
    [ "$readme" != tests/README.md ] || continue # those are rules for tests themselves
    while IFS=: read -r line number; do
        grep -qx "$number" <<<"$cited" ||
            finding "$readme:$line: no test cites $number: name the test that proves it \"$number: …\""
    done < <(sed -nE '=;s/^- \*\*([A-Z][0-9]+)\*\* .*/\1/p' "$readme" |
        awk '/^[0-9]+$/ { line = $0; next } /^[A-Z][0-9]+$/ { print line ":" $0 }')
done < <(tree_files | grep -E '^[^/]+/([^/]+/)?README\.md$')
verdict
