#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# files-check.sh IMAGE [AT-LEAST]: proves that a raw image of an agentfs guest's vda is a file system
# with every file whole, up to the number in its file "last". Prints "last N CLEAN", where CLEAN is
# "clean" if the journal was empty, as it is after a freeze or an unmount, else "journal". Works on
# a copy; needs no mount.

set -euo pipefail
shopt -s inherit_errexit

image=$1 at_least=${2:-0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

state=clean
! dumpe2fs -h "$image" 2>"$work/log" | grep -q '^Filesystem features:.*needs_recovery' ||
    state=journal
cp --sparse=always "$image" "$work/image"
# Replays the journal. A status above 1 means damage that no replay mends.
e2fsck -fp "$work/image" >"$work/log" 2>&1 || [ $? -eq 1 ] || { cat "$work/log" && exit 1; }
mkdir "$work/files"
debugfs -R "rdump / $work/files" "$work/image" >"$work/log" 2>&1

last=$(cat "$work/files/last")
[ "$last" -ge "$at_least" ] || { echo "last is $last, $at_least was acknowledged" && exit 1; }
status=0
for ((number = last > 99 ? last - 99 : 1; number <= last; number++)); do
    # The file may already be the next one in its place.
    set +o pipefail
    yes "record $number" | head -c 20000 | cmp -s - "$work/files/$((number % 100))" && continue
    yes "record $((number + 100))" | head -c 20000 |
        cmp -s - "$work/files/$((number % 100))" && [ $((number + 100)) -eq $((last + 1)) ] && continue
    set -o pipefail
    echo "file $((number % 100)) does not hold record $number"
    status=1
done
echo "last $last $state"
exit $status
