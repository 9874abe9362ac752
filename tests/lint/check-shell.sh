#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shell scripts parse, and shellcheck finds nothing at the level of warnings in them.
set -u
. "$(dirname "$0")/common.sh"

mapfile -t scripts < <(shell_files)
for file in "${scripts[@]}"; do
    message=$(bash -n "$file" 2>&1) || finding "$file:1: does not parse: $message"
done
# SC1090, SC1091: sourced files are checked on their own. SC2034, SC2154: their variables cross files.
report=$(shellcheck --shell=bash --severity=warning --exclude=SC1090,SC1091,SC2034,SC2154 --format=gcc \
    "${scripts[@]}") || finding "$report"
verdict
