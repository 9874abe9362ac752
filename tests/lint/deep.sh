#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make lint-deep`: the analysers that take minutes. clang-tidy with .clang-tidy, one file per call;
# gcc -fanalyzer; and the functions that no other file calls, from the symbols of the build.
# The Makefile gives the preprocessor flags as arguments.
set -u
. "$(dirname "$0")/common.sh"

flags=("$@")
mapfile -t sources < <(c_files | grep -E '^(base|replicator|snapshot|appliance)/.*\.c$')

for file in "${sources[@]}"; do
    echo "  TIDY  $file"
    clang-tidy --quiet --warnings-as-errors='*' "$file" -- -std=gnu11 "${flags[@]}" 2>/dev/null ||
        finding "$file: clang-tidy: see above"
    # The analyser of gcc 12 follows cleanup attributes but not GLib's ownership by annotation.
    # GLib's macro for extended errors is what the analyser calls a NULL dereference there.
    quiet=()
    [ "$file" = base/error.c ] && quiet=(-Wno-analyzer-null-dereference)
    report=$(gcc -std=gnu11 -O1 -fanalyzer -Wno-analyzer-use-of-uninitialized-value -Werror \
        "${flags[@]}" "${quiet[@]}" -c -o /dev/null "$file" 2>&1) || finding "$file: gcc -fanalyzer:
$report"
done

# A function with external linkage that only its own file calls is static or dead.
objects=$(find "$LANDFALL_BUILD"/base "$LANDFALL_BUILD"/replicator "$LANDFALL_BUILD"/snapshot \
    "$LANDFALL_BUILD"/appliance -name '*.o' 2>/dev/null)
# Object paths have no spaces: they are ours.
# shellcheck disable=SC2086
while IFS= read -r name; do
    finding "$name: no other file of the programs calls it: make it static or remove it"
done < <(comm -23 <(nm --defined-only -g $objects | awk '$2 == "T" && $3 != "main" {print $3}' | sort -u) \
    <(nm -u $objects | awk '$1 == "U" {print $2}' | sort -u))
verdict
