#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The life of checkpoints on a running machine with disks that can carry bitmaps and one that
# cannot: first snapshot, delta, abort, commit, and other tools' things in the way.

. "$(dirname "$0")/room.sh"

guest_make_disk "$room_images/a.qcow2" qcow2 64M
guest_make_disk "$room_images/b.raw" raw 32M
guest_make_disk "$room_images/c.qcow2" qcow2 32M
guest_make_disk "$room_images/d.qcow2" qcow2 16M
guest_define demo --disk "vda:qcow2:$room_images/a.qcow2" --disk "vdb:raw:$room_images/b.raw" \
    --disk "vdc:qcow2:$room_images/c.qcow2" --disk "vdd:qcow2:$room_images/d.qcow2"
guest_start demo
guest_wait_ready demo
A=67108864 B=33554432 C=33554432

room show --machine demo
is "show: a qcow2 disk" "$(field '.disks.vda | "\(.format) \(.size) \(.no_bitmap)"')" "qcow2 $A null"
is "show: a raw disk" "$(field '.disks.vdb | "\(.size) \(.no_bitmap)"')" "$B format-without-bitmaps"
room show --machine "$(virsh -q domuuid demo | tr -d '[:space:]')"
is "a machine is found by its UUID" "$(field .name)" demo
room show --machine dmo
is "an unknown machine is the operator's error" "$status $(field .error)" "1 config"
like "an unknown machine: the hint lists some" "$(field .hint)" demo

# --- first snapshot -----------------------------------------------------------------------------

before=$(host_state)
guest_write demo vda 0 65536 before
guest_write demo vdb 0 65536 before
hold --machine demo --disk vda --disk vdb --disk vdc
guest_write demo vda 0 65536 after
guest_write demo vdb 0 65536 after
for disk in vda vdb; do
    nbdcopy "$(field ".disks.$disk.uri")" "$KIT_TMP/$disk.copy"
    ok "$disk: the snapshot has what was there before it" \
        cmp -n 65536 "$KIT_TMP/$disk.copy" <(pattern before 65536)
done
is "S1: a disk outside of the plan is not served" \
    "$(nbdinfo --list "$(field .disks.vda.uri)" | grep -c '^export=')" 3
is "first snapshot: no bitmap, and nothing to explain" \
    "$(field '.disks.vda | "\(.bitmap) \(.cause)"')" "null null"
is "S2: a raw disk explains itself" "$(field .disks.vdb.cause)" format-without-bitmaps
is "without an agent it is crash-consistent, and no warning" \
    "$(field '"\(.consistency) \(.warnings)"')" 'crash []'
one=$(field .checkpoint)
like "S4: the checkpoint's name" "$one" '^landfall-test-000001-'
hold_say end
is "end: no scratch file and no socket is left" "$(our_files)" ""
is "end: no job is left" "$(virsh -q domjobinfo demo | awk '{print $3}')" None
hold_say commit
hold_done
is "commit: the checkpoint stays" "$(checkpoints demo)" "$one "
is "S1: bitmaps on just the disks that can" "$(bitmaps demo)" "a.qcow2 $one
c.qcow2 $one"

# --- delta, abort, superset ---------------------------------------------------------------------

guest_write demo vda $((1024 * 1024)) 65536 delta
guest_write demo vdc $((3 * 1024 * 1024)) 131072 delta
plan=(--machine demo --number 2 --disk "vda,$A,$one" --disk "vdb,$B,$one" --disk "vdc,$C,$one")
hold "${plan[@]}"
is "delta: just what was written, vda" "$(dirty vda)" "0+64 1024+64"
is "delta: just what was written, vdc" "$(dirty vdc)" "3072+128"
is "S2: the raw disk is demoted alone" "$(field '.disks.vdb | "\(.bitmap) \(.cause)"')" \
    "null format-without-bitmaps"
guest_write demo vda $((5 * 1024 * 1024)) 65536 during
hold_say abort
hold_done
is "S5: abort leaves the older checkpoint alone" "$(checkpoints demo)" "$one "
is "S5: abort takes the new bitmaps along" "$(bitmaps demo)" "a.qcow2 $one
c.qcow2 $one"

hold "${plan[@]}"
is "S5: after an abort the delta is a superset" "$(dirty vda)" "0+64 1024+64 5120+64"
two=$(field .checkpoint)
guest_write demo vda $((7 * 1024 * 1024)) 65536 later
hold_say commit
hold_done
is "commit: the older checkpoint goes" "$(checkpoints demo)" "$two "
is "commit: its bitmaps go" "$(bitmaps demo)" "a.qcow2 $two
c.qcow2 $two"
hold --machine demo --number 3 --disk "vda,$A,$two" --disk "vdc,$C,$two"
is "the delta after a commit counts from the snapshot" "$(dirty vda)" "7168+64"
is "a disk nobody wrote has no dirty block" "$(dirty vdc)" ""

# --- two at once, and others' things ------------------------------------------------------------

during=$(host_state)
room hold --machine demo --store-id other --disk vda
is "a second snapshot is a conflict" "$status $(field .error)" "1 conflict"
room clean --machine demo --store-id other
is "S3: another store's job is foreign" "$status $(field .error)" "1 conflict"
like "S3: the conflict names the job" "$(field .message)" "landfall-test-"
is "S3: and nothing of it is touched" "$(host_state)" "$during"
hold_say abort
hold_done

virsh -q checkpoint-create-as demo other-tool --diskspec vda >"$KIT_TMP/.virsh"
room clean --machine demo --keep "$two"
is "S3: a foreign checkpoint is a conflict" "$status $(field .error)" "1 conflict"
like "S3: it is named" "$(field .message)" other-tool
room clean --machine demo --keep "$two" --allow-foreign
is "foreign checkpoints can be allowed" "$status $(field '.removed | length')" "0 0"
room clean --machine demo --store-id tes --allow-foreign
is "S3: a store whose name begins the same is another store" "$(checkpoints demo)" \
    "$two other-tool "
virsh -q checkpoint-delete demo other-tool >"$KIT_TMP/.virsh"

cat >"$KIT_TMP/foreign.xml" <<END
<domainbackup mode='pull'><server transport='unix' socket='$KIT_TMP/foreign.sock'/>
<disks><disk name='vda' backup='yes' type='file'><scratch file='$room_images/foreign'/></disk>
</disks></domainbackup>
END
chmod 777 "$KIT_TMP" # QEMU makes the socket itself
virsh -q backup-begin demo "$KIT_TMP/foreign.xml" >"$KIT_TMP/.virsh"
room clean --machine demo --keep "$two"
is "S3: a foreign backup job is a conflict" "$status $(field .error)" "1 conflict"
like "S3: its files are named" "$(field .message)" "$room_images/foreign"
ok "S3: the foreign job runs on" nbdinfo --size "nbd+unix:///vda?socket=$KIT_TMP/foreign.sock"
virsh -q domjobabort demo
wait_for 10 eval '! virsh -q backup-dumpxml demo'
rm -f "$KIT_TMP/foreign.sock"

# --- without a checkpoint -----------------------------------------------------------------------

cycle commit --machine demo --number 4 --no-checkpoint --disk "vda,$A,$two"
is "--no-checkpoint makes none" "$(jq -r .checkpoint <<<"$taken")" null
is "--no-checkpoint: committed, none of ours is left" "$(checkpoints demo)" ""
hold --machine demo --number 5 --disk "vda,$A" --disk "vdc,$((C - 512)),$two"
is "a replica without a checkpoint says so" "$(field .disks.vda.cause)" no-checkpoint
is "another size than the replica's is its own cause" "$(field .disks.vdc.cause)" size-changed
hold_done
is "leaving without a word aborts" "$status $(checkpoints demo)" "0 "
is "S6: in the end the host is as it was" "$(host_state)" "$before"
done_testing
