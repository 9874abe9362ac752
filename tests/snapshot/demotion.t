#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Whatever happens to a bitmap demotes its disk, alone, and never ends a cycle (S2): power cuts,
# resizes, lost checkpoints, images that cannot carry one, snapshots of the operator's own.

. "$(dirname "$0")/room.sh"

guest_make_disk "$room_images/a.qcow2" qcow2 64M
guest_make_disk "$room_images/b.qcow2" qcow2 32M
qemu-img create -q -f qcow2 -o compat=0.10 "$room_images/old.qcow2" 16M
guest_define demo --disk "vda:qcow2:$room_images/a.qcow2" --disk "vdb:qcow2:$room_images/b.qcow2" \
    --disk "vdc:qcow2:$room_images/old.qcow2"
A=67108864 B=33554432
causes() {
    field '[.disks[] | .cause // "-"] | join(" ")'
}

guest_start demo
guest_wait_ready demo
cycle commit --machine demo --disk vda --disk vdb --disk vdc
one=$(jq -r .checkpoint <<<"$taken")
answer=$taken
is "an image too old for bitmaps does not end the cycle" "$(causes)" "- - -"
like "it is named with its reason" "$(field '.warnings[]')" "disk vdc: .*Cannot store dirty bitmaps"
is "the others have theirs" "$(bitmaps demo)" "a.qcow2 $one
b.qcow2 $one"

# --- one disk's bitmap is gone, then broken -----------------------------------------------------

node=$(virsh -q qemu-monitor-command demo '{"execute":"query-named-block-nodes"}' |
    jq -r '.return[] | select(.drv == "qcow2" and (.file | endswith("/b.qcow2"))) | .["node-name"]')
virsh -q qemu-monitor-command demo "{\"execute\":\"block-dirty-bitmap-remove\",
    \"arguments\":{\"node\":\"$node\",\"name\":\"$one\"}}" >"$KIT_TMP/.virsh"
before=$(virsh checkpoint-dumpxml demo "$one")
hold --machine demo --number 2 --disk "vda,$A,$one" --disk "vdb,$B,$one"
is "S2: a missing bitmap demotes its disk alone" "$(causes)" "- bitmap-broken"
is "the other disk keeps its delta" "$(field .disks.vda.bitmap)" \
    qemu:dirty-bitmap:landfall-delta
is "judging changes nothing of the checkpoint" "$(virsh checkpoint-dumpxml demo "$one")" "$before"
hold_say commit
is "a checkpoint with a missing bitmap can be deleted" "$(field .error) $(checkpoints demo)" \
    "null $(field .checkpoint) "
hold_done
two=$(field .checkpoint)
is "and takes the bitmaps that are there along" "$(bitmaps demo)" "a.qcow2 $two
b.qcow2 $two"

# A disk that was added since is not in the image that a power cut spoils below.
guest_shutdown demo
virsh -q detach-disk demo vdb --config
guest_start demo
guest_wait_ready demo
guest_power_cut demo
virsh -q attach-disk demo "$room_images/b.qcow2" vdb --driver qemu --subdriver qcow2 --config
guest_start demo
guest_wait_ready demo
hold --machine demo --number 3 --disk "vda,$A,$two" --disk "vdb,$B,$two"
is "S2: a power cut demotes the disks it caught, alone" "$(causes)" "bitmap-broken -"
like "the detail tells of the bitmap" "$(field .disks.vda.detail)" "$two.*inconsistent"
hold_say commit
three=$(field .checkpoint)
hold_done
is "inconsistent bitmaps are deleted too" "$(bitmaps demo)" "a.qcow2 $three
b.qcow2 $three"

# --- resize, lost checkpoint --------------------------------------------------------------------

virsh -q blockresize demo vdb 48M
hold --machine demo --number 4 --disk "vda,$A,$three" --disk "vdb,$B,$three"
is "S2: a disk that has grown is demoted alone" "$(causes)" "- size-changed"
is "and has its new size" "$(field .disks.vdb.size)" $((48 * 1024 * 1024))
hold_say commit
four=$(field .checkpoint)
hold_done
hold --machine demo --number 5 --disk "vda,$A,$three" --disk "vdb,$((48 * 1024 * 1024)),$four"
is "S2: a checkpoint the host has lost demotes" "$(causes)" "checkpoint-missing -"
hold_say abort
hold_done

# --- the operator's own snapshot ----------------------------------------------------------------

guest_write demo vda 0 65536 before
virsh -q snapshot-create-as demo outer --disk-only --no-metadata \
    --diskspec "vda,file=$room_images/a.outer" --diskspec vdb,snapshot=no \
    --diskspec vdc,snapshot=no >"$KIT_TMP/.virsh"
guest_write demo vda $((2 * 1024 * 1024)) 65536 after
hold --machine demo --number 5 --disk "vda,$A,$four" --disk "vdb,$((48 * 1024 * 1024)),$four"
is "a chain of images keeps its delta" "$(causes) $(dirty vda)" "- - 0+64 2048+64"
hold_say commit
five=$(field .checkpoint)
is "and its old checkpoint can be deleted" "$(field .error) $(checkpoints demo)" "null $five "
hold_done
unlike "with its bitmaps in both images" "$(bitmaps demo)" "$four"
virsh -q blockcommit demo vda --active --pivot --wait >"$KIT_TMP/.virsh"
hold --machine demo --number 6 --disk "vda,$A,$five"
is "a chain that was merged keeps its delta" "$(causes)" "-"
hold_done
is "nothing is left" "$(our_files) $(checkpoints demo)" " $five "
done_testing
