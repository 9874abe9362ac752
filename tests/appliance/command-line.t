#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command line as an operator meets it: exit codes, what is said about a mistake and what to do
# about it, and exported images that are the disk, whatever the format.
. "$(dirname "$0")/../kit/kit.sh"
requires nbdkit qemu-img jq

store=$KIT_TMP/store
# Random at both ends: a format that changes the size moves or pads the last sector. The size is no
# whole number of cylinders.
truncate -s 100M "$KIT_TMP/disk"
for at in 0 $((100 * 1024 * 1024 - 512)); do
    dd if=/dev/urandom of="$KIT_TMP/disk" bs=512 count=1 seek=$at oflag=seek_bytes conv=notrunc status=none
done
start_nbdkit "$KIT_TMP/nbd" -r file "$KIT_TMP/disk"
ok "a cycle of an NBD export" landfall cycle --disk vda="$KIT_URI" --machine m1 --store "$store"
run landfall cycle --disk vda="$KIT_URI" --machine m1 --store "$store"
like "says what it did" "$output" 'recovery point 2 \(crash-consistent\) committed in [0-9.]+ s'
like "sizes can be searched for" "$output" '100\.0 MiB'
unlike "of a plain export no snapshot is claimed" "$output" 'snapshot taken|held'
ok "two disks" landfall cycle --disk vda="$KIT_URI" --disk vdb="$KIT_URI" --machine m2 --store "$store"

status "A7: no command" 2 'Usage: landfall .*COMMAND' landfall
status "A7: an unknown command" 2 "no command 'fly'" landfall fly
status "half a command" 2 'landfall store: which of these: add, remove, list, verify, export\?' landfall store
status "an unknown second word" 2 "no command 'store fly'" landfall store fly
status "help of a group" 0 'store verify' landfall store --help
status "the version" 0 '^landfall [0-9]+\.[0-9]+' landfall --version
status "an unknown option" 2 'hint: landfall store list --help' landfall store list --fly "$store"
status "a missing argument" 2 'hint: usage: landfall store verify .*STORE MACHINE' landfall store verify "$store"
status "one argument too many" 2 "unknown argument 'b'" landfall store list "$store" m1 b
status "no store" 2 'is not a Landfall store.*hint:' landfall store list "$KIT_TMP"
status "no such machine" 2 "no machine 'm3'.*hint: landfall store list" landfall store list "$store" m3
status "no such recovery point" 2 'hint: there are recovery points 1 to 2' \
    landfall store verify "$store" m1 --recovery-point 7
status "two answers to one question" 2 'not both' \
    landfall store verify "$store" m1 --recovery-point 1 --all
status "which disk?" 2 'hint: the disks are: vda vdb' landfall store export "$store" m2 "$KIT_TMP/x"
status "a cycle of nothing" 2 'hint: landfall cycle --host' landfall cycle --machine m1 --store "$store"
status "a folder with other things in it" 2 'not a Landfall store and not empty' \
    landfall cycle --disk vda="$KIT_URI" --machine m1 --store "$KIT_TMP"
status "a source that is not there" 1 'hint: check that the NBD server runs' \
    landfall cycle --disk vda="nbd+unix:///?socket=$KIT_TMP/nothing" --machine m1 --store "$store"
status "an error as JSON" 2 '^\{"event":"error","code":"config","message":.*"hint":' \
    landfall store list "$store" m3 --json

status "the machines" 0 'm1 +m1 +2 +20[0-9-]+ [0-9:]+Z' landfall store list "$store"
is "the machines as JSON" "$(landfall store list "$store" --json | jq -c '[.machines[].machine]')" '["m1","m2"]'
is "the recovery points as JSON" \
    "$(landfall store list "$store" m1 --json | jq -c '[.recovery_points[].number]')" '[1,2]'
is "a proof as JSON" \
    "$(landfall store verify "$store" m1 --json | jq -c '[.number, .disks[].proven]')" '[2,true]'

for format in raw qcow2 vmdk vpc; do
    file=$KIT_TMP/exported.$format
    ok "$format: export" landfall store export "$store" m1 --format $format "$file"
    is "A9: $format: size" "$(qemu-img info -f $format --output=json "$file" | jq '."virtual-size"')" \
        $((100 * 1024 * 1024))
    ok "$format: content" qemu-img compare -q -f raw -F $format "$KIT_TMP/disk" "$file"
done
status "a file that is there" 2 'hint: name another file, or give --force' \
    landfall store export "$store" m1 "$KIT_TMP/exported.raw"
is "an export as JSON" "$(landfall store export "$store" m1 --force --json "$KIT_TMP/exported.raw" |
    jq -c '[.number, .disk, .format]')" '[2,"vda","raw"]'
is "A9: no half-written file is left" "$(find "$KIT_TMP" -name '*.part')" ''

# Damage is a failure of the command, not of its use.
dd if=/dev/urandom of="$store/m1/disks/vda/base.raw" bs=512 count=1 conv=notrunc status=none
status "a damaged replica" 1 'DAMAGED.*block 0 is not what was committed.*hint: verify the other' \
    landfall store verify "$store" m1
done_testing
