#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The guest of the tests, judged: its disks are right at every instant, the checker says so, and it
# says otherwise for every kind of nearly right disk that a broken replication could produce.

. "$(dirname "$0")/guest.sh"
requires mkfs.ext4 debugfs e2fsck cmp

# copy NAME: what the disks hold now, as raw images NAME.vda and NAME.vdb.
copy() {
    qemu-img convert -U -f qcow2 -O raw "$KIT_TMP/vda.qcow2" "$KIT_TMP/$1.vda"
    qemu-img convert -U -f raw -O raw "$KIT_TMP/vdb.raw" "$KIT_TMP/$1.vdb"
}

check() {
    local name=$1
    shift
    record-check "$@" "$KIT_TMP/$name.vda" "$KIT_TMP/$name.vdb"
}

# Overwrites a part of bad.vda with the same part of another image.
spoil_from() {
    dd if="$1" of="$KIT_TMP/bad.vda" bs=64k skip="$2" seek="$2" count="$3" conv=notrunc status=none
}

reset_bad() {
    cp --sparse=always "$KIT_TMP/second.vda" "$KIT_TMP/bad.vda"
    cp --sparse=always "$KIT_TMP/second.vdb" "$KIT_TMP/bad.vdb"
}

# block_with IMAGE: the number of the first block in the record area that holds data.
block_with() {
    local offset
    offset=$(grep -abo -m 1 LRECORD1 "$1" | head -n 1 | cut -d: -f1)
    echo $((offset / 65536))
}

# --- The writer -----------------------------------------------------------------------------------

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 64M
guest_make_disk "$KIT_TMP/vdb.raw" raw 48M
guest_make_disk "$KIT_TMP/sda.raw" raw 8M
guest_define writer --mode writer --disk "vda:qcow2:$KIT_TMP/vda.qcow2" \
    --disk "vdb:raw:$KIT_TMP/vdb.raw" --disk "sda:raw:$KIT_TMP/sda.raw"
guest_start writer
ok "the guest boots" guest_wait_ready writer
ok "it writes" guest_wait_acked writer 30 60

virsh -q suspend writer
copy first
acked=$(guest_acked writer)
ok "paused at a record: consistent" check first --at-least "$acked" --at-most $((acked + 1))
fails "a copy that should be newer is found out" check first --at-least $((acked + 2))
fails "a copy that should be older is found out" check first --at-most $((acked - 1))
virsh -q resume writer

# Beyond the first operation of all kinds: each of 64 chunks has to have its turn four times.
guest_run writer 'killall record-writer; sleep 1; record-writer --rate 0 /dev/vda /dev/vdb \
    >/dev/ttyS0 2>&1 &'
ok "it writes as fast as it can" guest_wait_acked writer 120 1300
virsh -q suspend writer
copy second
acked=$(guest_acked writer)
virsh -q resume writer
ok "in full flight: consistent" check second --at-least "$acked"

# --- What the checker finds -----------------------------------------------------------------------

reset_bad
printf 'x' | dd of="$KIT_TMP/bad.vda" bs=1 conv=notrunc status=none \
    seek=$(($(grep -abo -m 1 LRECORD1 "$KIT_TMP/bad.vda" | head -n 1 | cut -d: -f1) + 2000))
run check bad
is "a spoiled byte: fails" "$status" 1
like "a spoiled byte: named" "$output" "a record that is not whole"

reset_bad
spoil_from "$KIT_TMP/first.vda" "$(block_with "$KIT_TMP/first.vda")" 1
run check bad
is "a block from an older state: fails" "$status" 1
like "a block from an older state: named" "$output" "record [0-9]+ where record [0-9]+ should be"

reset_bad
spoil_from /dev/zero "$(block_with "$KIT_TMP/second.vda")" 1
run check bad
is "a block of zeros: fails" "$status" 1
like "a block of zeros: named" "$output" "record 0 where record [0-9]+ should be"

# The scratch area is the last quarter: blocks 768 and up of 1024.
scratch_is_spoiled() {
    reset_bad
    spoil_from "$1" 768 64
    run check bad
    is "$2: fails" "$status" 1
    like "$2: named" "$output" "$3"
}
scratch_is_spoiled /dev/zero "lost data in the scratch area" "zeros where data should be"
scratch_is_spoiled "$KIT_TMP/first.vda" "an old scratch area" \
    "data where zeros should be|other data than was written"

cp "$KIT_TMP/first.vdb" "$KIT_TMP/bad.vdb"
cp "$KIT_TMP/second.vda" "$KIT_TMP/bad.vda"
fails "a second disk from an older state" check bad
cp "$KIT_TMP/second.vdb" "$KIT_TMP/bad.vdb"
cp "$KIT_TMP/first.vda" "$KIT_TMP/bad.vda"
fails "a first disk from an older state" check bad
fails "disks in the wrong order" record-check "$KIT_TMP/second.vdb" "$KIT_TMP/second.vda"
truncate -s 1M "$KIT_TMP/empty"
fails "an empty disk" record-check "$KIT_TMP/empty"
head -c 8M "$KIT_TMP/second.vda" >"$KIT_TMP/short"
run record-check "$KIT_TMP/short"
is "a disk that ends too early: fails" "$status" 1
like "a disk that ends too early: named" "$output" "ends too early"

# --- Power cut and restart ------------------------------------------------------------------------

guest_power_cut writer
copy cut
acked=$(guest_acked writer)
ok "after a power cut: consistent" check cut --at-least "$acked"
guest_start writer
ok "it boots again" guest_wait_ready writer
ok "it goes on where it was" guest_wait_acked writer 60 $((acked + 20))
unlike "it did not begin anew" "$(guest_console writer)" "goes on after 0"

# --- Commands and chosen changes ------------------------------------------------------------------

is "output of a command" "$(guest_run writer 'echo "a  b"; echo c')" "a  b"$'\n'"c"
run guest_run writer 'echo hm >&2; exit 3'
is "status of a command" "$status $output" "3 hm"
guest_write writer sda 1000000 200000 landfall
ok "a written pattern is on the disk" \
    cmp -i 1000000:0 -n 200000 "$KIT_TMP/sda.raw" <(pattern landfall 200000)
guest_zero writer sda 1000000 65536
ok "zeros are" cmp -i 1000000:0 -n 65536 "$KIT_TMP/sda.raw" /dev/zero
guest_write writer sda 4194304 1048576 landfall
guest_discard writer sda 4194304 1048576
is "a discard makes a hole" \
    "$(qemu-img map -U -f raw --output=json --start-offset=4194304 --max-length=1048576 \
        "$KIT_TMP/sda.raw" | tr -d ' \n' | grep -o '"data":[a-z]*')" '"data":false'

libvirtd_stop
ok "without libvirtd the guest goes on" guest_wait_more_acked writer 30 20
libvirtd_start
is "libvirtd finds it again" "$(guest_state writer)" running

last=$(guest_stop_writing writer)
copy stopped
ok "stopped: known to the record" check stopped --at-least "$last" --at-most "$last"
ok "the power button ends it" guest_shutdown writer

# --- File system and agent ------------------------------------------------------------------------

if command -v qemu-ga >"$KIT_TMP/.which"; then
    guest_make_disk "$KIT_TMP/fs.raw" raw 64M ext4
    guest_define files --mode agentfs --agent --disk "vda:raw:$KIT_TMP/fs.raw"
    guest_start files
    ok "a guest with a file system boots" guest_wait_ready files
    ok "it writes files" guest_wait_acked files 60 20
    ok "the agent answers" wait_for 30 virsh -q qemu-agent-command files '{"execute":"guest-ping"}'

    ok "freeze" virsh -q domfsfreeze files
    virsh -q suspend files
    cp --sparse=always "$KIT_TMP/fs.raw" "$KIT_TMP/frozen"
    acked=$(guest_acked files)
    virsh -q resume files
    ok "thaw" virsh -q domfsthaw files
    run files-check.sh "$KIT_TMP/frozen" "$acked"
    like "frozen: every file whole, no journal to replay" "$output" "^last [0-9]+ clean$"
    ok "it goes on writing" guest_wait_more_acked files 30 5

    virsh -q suspend files
    cp --sparse=always "$KIT_TMP/fs.raw" "$KIT_TMP/crashed"
    acked=$(guest_acked files)
    virsh -q resume files
    run files-check.sh "$KIT_TMP/crashed" "$acked"
    like "not frozen: whole after the journal's replay" "$output" "^last [0-9]+ journal$"
    fails "a file system without an acknowledged file" \
        files-check.sh "$KIT_TMP/crashed" $((acked + 10))
    ok "the agent ends it" guest_shutdown files
    run files-check.sh "$KIT_TMP/fs.raw"
    like "ended in order: clean" "$output" "^last [0-9]+ clean$"
else
    skip "file system and agent" "qemu-guest-agent is not installed"
fi

# --- Another host ---------------------------------------------------------------------------------

guest_make_disk "$KIT_TMP/other.raw" raw 8M
libvirtd_start_other elsewhere
export LIBVIRT_DEFAULT_URI=$LIBVIRT_OTHER_URI
is "another host knows no machine" "$(virsh -q list --all --name)" ""
guest_define other --disk "vda:raw:$KIT_TMP/other.raw"
guest_start other
ok "a guest boots there" guest_wait_ready other
is "and takes commands" "$(guest_run other 'echo hello')" hello
ok "its QEMU is known" kill -0 "$(guest_qemu_pid other)"
guest_destroy other

done_testing
