#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A host behind ssh: libvirt and the disks both come by it, and the host is left as it was.

. "$(dirname "$0")/room.sh"
. "$(dirname "$0")/../kit/remote.sh"
remote_serve 127.0.0.1 2222

guest_make_disk "$room_images/a.qcow2" qcow2 64M
guest_define demo --disk "vda:qcow2:$room_images/a.qcow2"
before=$(host_state)
LIBVIRT_DEFAULT_URI="qemu+ssh://root@127.0.0.1:2222/system?keyfile=$remote_key"
hold --machine demo --disk vda
is "a machine of a host behind ssh" "$(field '"\(.error) \(.consistency)"')" "null off"
is "the URI names the export only" "$(field .disks.vda.uri)" nbd:///vda
hold_say sizes
is "the command carries the disk" "$(field .vda)" 67108864
hold_say abort
is "abort succeeds" "$(field .error)" null
hold_done

# The folder for scratch images is on the host, where something else fills it up.
mkdir "$KIT_TMP/small"
mount -t tmpfs -o size=64m,mode=777 tmpfs "$KIT_TMP/small"
cleanup_fn umount "$KIT_TMP/small"
job_is() {
    local there=no
    virsh -q -c qemu:///system backup-dumpxml demo >/dev/null 2>&1 && there=yes
    [ $there = "$1" ]
}
hold --machine demo --disk vda --scratch-dir "$KIT_TMP/small"
ok "a backup job runs" job_is yes
head -c 60M /dev/zero >"$KIT_TMP/small/of-somebody-else"
ok "S8: it is ended before scratch space runs out" wait_for 20 job_is no
hold_say abort
is "abort succeeds after that" "$(field .error)" null
hold_done
LIBVIRT_DEFAULT_URI=qemu:///system
is "S6: nothing is left on the host" "$(host_state)" "$before"

room show --machine demo
answer=$("$room_tool" show --host "qemu+ssh://root@127.0.0.1:2223/system" --machine demo) || true
is "a host that cannot be reached is the host's error" "$(field .error)" source
like "it is named" "$(field .message)" "127.0.0.1:2223"
done_testing
