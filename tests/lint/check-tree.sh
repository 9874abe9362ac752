#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tree as a whole: rooms explain themselves, sources name their licence, nothing names one
# person's machine or is marked unfinished, a file has one subject.
set -u
. "$(dirname "$0")/common.sh"

files=$(tree_files)
sources=$(grep -E '(\.(c|h|sh|t|pl|mk|ts|tsx|css)|(^|/)Makefile)$' <<<"$files")

for room in $(grep / <<<"$sources" | cut -d/ -f1 | sort -u); do
    [ -f "$room/README.md" ] || finding "$room:1: has no README.md: purpose, data flow, invariants"
done

# One process for all files.
judge_sources() {
    tr '\n' '\0' <<<"$sources" | xargs -0r awk '
        FNR <= 3 && /SPDX-License-Identifier: Apache-2\.0/ { licensed[FILENAME] = 1 }
        /^#pragma once$/ { once[FILENAME] = 1 }
        { lines[FILENAME] = FNR }
        END {
            for (i = 1; i < ARGC; i++) {
                file = ARGV[i]
                if (!licensed[file])
                    print file ":1: no licence: add SPDX-License-Identifier: Apache-2.0"
                if (file ~ /\.h$/ && !once[file])
                    print file ":2: no #pragma once"
                if (lines[file] > 600)
                    print file ":" lines[file] ": more than 600 lines: does it have two subjects?"
            }
        }'
}
while IFS= read -r hit; do
    finding "$hit"
done < <([ -z "$sources" ] || judge_sources)

# The brackets keep these patterns from finding themselves.
while IFS= read -r hit; do
    [ -z "$hit" ] || finding "$hit: the path of one machine: make it relative or an option"
done <<<"$(tr '\n' '\0' <<<"$files" | xargs -0 grep -nIE '(^|[[:space:]=(:,]["'\'']?)/(h[o]me|U[s]ers|r[o]ot)/[.a-z]' | cut -c 1-150)"
while IFS= read -r hit; do
    [ -z "$hit" ] || finding "$hit: unfinished: finish it or file it elsewhere"
done <<<"$(tr '\n' '\0' <<<"$files" | xargs -0 grep -nIE '\b(TO[D]O|FIX[M]E|X[X]X)\b' | cut -c 1-150)"
verdict
