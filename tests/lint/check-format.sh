#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# clang-format decides how C looks; `make format` does what this check asks for.
set -u
. "$(dirname "$0")/common.sh"

# One process for all of them; one for each only to name what is wrong.
c_files | tr '\n' '\0' | xargs -0r clang-format --style=file --dry-run -Werror 2>/dev/null && exit 0
while IFS= read -r file; do
    [ -n "$file" ] || continue
    clang-format --style=file --dry-run -Werror "$file" 2>/dev/null ||
        finding "$file:$(diff <(clang-format --style=file "$file") "$file" | sed -nE '1s/^([0-9]+).*/\1/p'): not formatted: run make format"
done <<<"$(c_files)"
verdict
