#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Machines that are off, disks that are not simply images, folders that are refused or full, and
# end points that are not libvirt's.

. "$(dirname "$0")/room.sh"
requires nbdkit

# --- disks of all kinds, of a machine that is off -----------------------------------------------

guest_make_disk "$room_images/a.qcow2" qcow2 64M
guest_make_disk "$room_images/r.raw" raw 16M
guest_make_disk "$room_images/t.qcow2" qcow2 16M
guest_make_disk "$room_images/s.raw" raw 16M
start_nbdkit "$KIT_TMP/net.sock" pattern 16M
chmod 777 "$KIT_TMP/net.sock"
guest_xml demo --disk "vda:qcow2:$room_images/a.qcow2" --disk "vdb:raw:$room_images/r.raw" \
    --disk "vdd:qcow2:$room_images/t.qcow2" --disk "vde:raw:$room_images/s.raw" |
    sed -e "s|<target dev='vdb'.*|&<readonly/>|" -e "s|<target dev='vdd'.*|&<transient/>|" \
        -e "s|<target dev='vde'.*|&<shareable/>|" \
        -e "s|<serial type='file'>|\
<disk type='network' device='disk'><driver name='qemu' type='raw'/>\
<source protocol='nbd' name=''><host transport='unix' socket='$KIT_TMP/net.sock'/></source>\
<target dev='vdc' bus='virtio'/><readonly/></disk>\
<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>&|" >"$KIT_TMP/demo.xml"
virsh -q define "$KIT_TMP/demo.xml" >"$KIT_TMP/.virsh"
before=$(host_state)
room show --machine demo
is "which disks there are" "$(field '.disks | keys | join(" ")')" "hda vda vdb vdc vdd vde"
like "an empty drive" "$(field .disks.hda.unsupported)" "optical"
like "a transient disk" "$(field .disks.vdd.unsupported)" "transient"
like "a shared disk" "$(field .disks.vde.unsupported)" "shared"
is "a size is known while it is off" "$(field .disks.vda.size)" 67108864
room hold --machine demo --disk vda --disk vdd
is "an unsupported disk is the operator's error" "$status $(field .error)" "1 config"
room hold --machine demo --disk vdz
is "so is an unknown one" "$status $(field .error)" "1 config"
room hold --machine demo --disk vda --store-id a/b
is "so is a store's identity that cannot be a name" "$status $(field .error)" "1 config"

# The transient disk keeps the machine from being backed up while it is there, in QEMU.
virsh -q detach-disk demo vdd --config >"$KIT_TMP/.virsh"
before=$(host_state)
hold --machine demo --disk vda --disk vdb --disk vdc
is "off: snapshot of an image, a read-only image and a network disk" \
    "$(field '"\(.consistency) \([.disks[] | .cause // "-"] | join(" "))"')" \
    "off - format-without-bitmaps format-without-bitmaps"
ok "a network disk can be read" nbdcopy "$(field .disks.vdc.uri)" "$KIT_TMP/net.copy"
ok "and is what the network serves" cmp "$KIT_TMP/net.copy" \
    <(nbdcopy "nbd+unix:///?socket=$KIT_TMP/net.sock" -)
hold_say commit
one=$(field .checkpoint)
hold_done
is "off: it is off again" "$(guest_state demo)" "shut off"
is "off: the checkpoint is kept" "$(checkpoints demo)" "$one "
hold --machine demo --number 2 --disk "vda,67108864,$one"
is "off: the next one is a delta of nothing" "$(dirty vda)" ""
hold_say commit
two=$(field .checkpoint)
hold_done
is "off: commit deletes the older one" "$(checkpoints demo)" "$two "

# --- what stands in the way of a start ----------------------------------------------------------

before=$(host_state)
mv "$room_images/r.raw" "$room_images/away"
room hold --machine demo --disk vda
is "a machine that cannot start is the host's error" "$status $(field .error)" "1 source"
like "it is named, and why" "$(field .message)" "demo cannot be started paused: .*r.raw"
mv "$room_images/away" "$room_images/r.raw"
is "nothing is left of it" "$(host_state)" "$before"

# --- folders ------------------------------------------------------------------------------------

mkdir -m 700 "$KIT_TMP/closed"
room hold --machine demo --disk vda --socket-dir "$KIT_TMP/closed"
is "a socket folder closed to QEMU is refused" "$status $(field .error)" "1 source"
like "the refusal names it" "$(field .message)" "$KIT_TMP/closed"
like "the hint says that it can be set" "$(field .hint)" "$KIT_TMP/closed.*can be set"
is "S6: nothing is left of it" "$(host_state)" "$before"
room hold --machine demo --disk vda --scratch-dir "$KIT_TMP/nowhere"
is "a scratch folder that is not there is refused" "$status $(field .error)" "1 source"
like "the refusal names it" "$(field .message)" "$KIT_TMP/nowhere"
is "S6: nothing is left of it" "$(host_state)" "$before"
room hold --machine demo --disk vda --socket-dir "/$(printf 'x%.0s' {1..100})"
like "too long a path for a socket is said so" "$(field .message)" "cannot be a socket's"

truncate -s 8M "$KIT_TMP/small.img"
mkfs.ext4 -q "$KIT_TMP/small.img"
mkdir -m 777 "$KIT_TMP/small" "$KIT_TMP/sockets and %20"
mount -o loop "$KIT_TMP/small.img" "$KIT_TMP/small"
cleanup_fn umount "$KIT_TMP/small"
chmod 777 "$KIT_TMP/small" "$KIT_TMP/sockets and %20"
hold --machine demo --disk vda --scratch-dir "$KIT_TMP/small" \
    --socket-dir "$KIT_TMP/sockets and %20"
like "S8: too little scratch space is a warning" "$(field '.warnings[]')" "$KIT_TMP/small has .* free"
like "scratch and socket are where they were wanted" "$(our_files | sort | tr '\n' ' ')" \
    "^$KIT_TMP/small/landfall.* $KIT_TMP/sockets and %20/landfall"
is "a socket's path with odd characters can be connected to" \
    "$(nbdinfo --size "$(field .disks.vda.uri)")" 67108864
hold_kill
room clean --machine demo --keep "$two" --scratch-dir "$KIT_TMP/small" \
    --socket-dir "$KIT_TMP/sockets and %20"
is "clean finds them there" "$(host_state)" "$before"

# --- a machine without a definition, and one that is suspended to disk --------------------------

guest_make_disk "$room_images/b.qcow2" qcow2 16M
guest_xml passing --disk "vda:qcow2:$room_images/b.qcow2" >"$KIT_TMP/passing.xml"
virsh -q create "$KIT_TMP/passing.xml" --paused
cycle commit --machine passing --disk vda
is "a transient machine can be snapshotted" \
    "$(jq -r '"\(.consistency) \(.checkpoint != null)"' <<<"$taken")" "crash true"
virsh -q destroy passing

guest_define saved --disk "vda:qcow2:$room_images/b.qcow2"
guest_start saved
virsh -q managedsave saved
room hold --machine saved --disk vda
is "a machine that is suspended to disk is left so" "$status $(field .error)" "1 conflict"
ok "its state is still there" grep -q yes <(virsh -q dominfo saved | grep 'Managed save')

# --- the host goes away, and comes back ---------------------------------------------------------

hold --machine demo --number 3 --disk "vda,67108864,$two"
libvirtd_stop
libvirtd_start
hold_say commit
is "a restarted libvirtd does not end a cycle" "$(field .error) $(checkpoints demo)" \
    "null $(field .checkpoint) "
hold_done
is "the machine is off again" "$(guest_state demo)" "shut off"

# --- other end points ---------------------------------------------------------------------------

hold_nbd() {
    status=0
    answer=$("$room_tool" nbd "$@" </dev/null) || status=$?
}
hold_nbd --disk "sda=nbd+unix:///?socket=$KIT_TMP/net.sock" --disk sdb=nbd://example.org/x
is "plain exports are snapshots too" \
    "$(field '"\(.consistency) \(.checkpoint) \([.disks[].cause] | unique | join(" "))"')" \
    "crash null nbd-export"
is "with their own URI" "$(field .disks.sdb.uri)" nbd://example.org/x
hold_nbd --disk sda=http://example.org/x
is "anything else is the operator's error" "$status $(field .error)" "1 config"
for uri in qemu+tls://example.org/system qemu+tcp://example.org/system test:///default; do
    answer=$("$room_tool" show --host $uri --machine demo) || status=$?
    is "$uri is not supported, and says so" "$(field .error)" unsupported
done
answer=$("$room_tool" show --host 'not a uri' --machine demo) || status=$?
is "a URI that is none is the operator's error" "$(field .error)" config
done_testing
