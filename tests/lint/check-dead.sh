#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files that nothing reaches: a .c no program or test is built from, a .h nobody includes, a script
# nobody names. Rooms are built by pattern (one folder deep), tests by their names.
set -u
. "$(dirname "$0")/common.sh"

files=$(tree_files)

# The headers that another file includes.
declare -A included=()
while IFS=: read -r file include; do
    include=${include#*\"} include=${include%\"}
    [ "$file" = "$include" ] || included[$include]=yes
done < <(printf '%s\n' "$files" | tr '\n' '\0' | xargs -0 grep -IHoE '#include "[^"]+"')

# Is the word in another file that runs? A README that mentions a script does not use it.
mapfile -t running < <(printf '%s\n' "$files" | grep -vE '\.(md|scd|c|h)$')
run_elsewhere() {
    local word=$1 self=$2
    grep -IlF -- "$word" "${running[@]}" | grep -qFxv "$self"
}

while IFS= read -r file; do
    name=${file##*/}
    case $file in
    *.h)
        [ -n "${included[$file]:-}" ] ||
            finding "$file:1: nobody includes this header: remove it"
        ;;
    base/*.c | replicator/*.c | snapshot/*.c | appliance/*.c)
        folders=${file//[!\/]/}
        [ ${#folders} -le 2 ] || finding "$file:1: two folders deep, so not built: move it up"
        ;;
    tests/unit/test-*.c | tests/fuzz/fuzz-*.c | tests/crash/test-*.c) ;;
    *.c)
        run_elsewhere "${name%.c}" "$file" || finding "$file:1: nothing builds this: name it or remove it"
        ;;
    tests/*/*.t | .ci/run) ;;
    tests/lint/check-*) ;; # run by lint.t, by pattern
    tests/*/*)
        # Scripts and data of a test folder: something that runs must name them or their folder.
        case $name in
        README.md | *.tsv) ;;
        *.sh | *.pl) run_elsewhere "$name" "$file" || finding "$file:1: no script names it: remove it" ;;
        esac
        ;;
    *.sh) run_elsewhere "$name" "$file" || finding "$file:1: no script names it: remove it" ;;
    esac
done <<<"$files"
verdict
