#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cppcheck at its fast settings: one configuration per file, GLib known. The slow analysers are in
# deep.sh.
set -u
. "$(dirname "$0")/common.sh"

mapfile -t sources < <(c_files | grep '\.c$')
[ ${#sources[@]} -gt 0 ] || exit 0
cppcheck --quiet --error-exitcode=1 --enable=warning,portability,performance --inline-suppr \
    --library=gtk --max-configs=1 -j "$(nproc)" -I. -D_GNU_SOURCE -U__cplusplus \
    '-DG_DEFINE_EXTENDED_ERROR(name, prefix)=' \
    --suppress=missingInclude --suppress=unmatchedSuppression --suppress='*:*/build/*' \
    --template='{file}:{line}: {severity}: {message} ({id})' "${sources[@]}" 2>&1
