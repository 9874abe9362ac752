#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The rules of the house, one test point per check. `prove tests/lint/lint.t` from the root, or
# `make lint`. What a check finds is printed beside its failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
checks=(tests/lint/check-*)
echo "1..${#checks[@]}"
number=0
failed=0
for check in "${checks[@]}"; do
    number=$((number + 1))
    name=${check##*/check-}
    if report=$("$check" 2>&1); then
        echo "ok $number - ${name%.*}"
    else
        echo "not ok $number - ${name%.*}"
        printf '%s\n' "$report" | sed 's/^/# /' >&2
        failed=1
    fi
done
exit $failed
