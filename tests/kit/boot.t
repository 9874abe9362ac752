#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The disk that boots by itself, judged: boot loader, kernel and file system come from it alone, records
# on it survive the power button and a power cut, and the guest can be told from its like.

. "$(dirname "$0")/guest.sh"
requires debugfs e2fsck

disk=$KIT_TMP/vda.qcow2

# check NAME OPTION…: its records, as the disk holds them now; its file system is left in fs.raw.
check() {
    local name=$1
    shift
    qemu-img convert -U -O raw "$disk" "$KIT_TMP/copy.raw"
    ok "$name" record-check "$@" "$KIT_TMP/copy.raw"
    dd if="$KIT_TMP/copy.raw" of="$KIT_TMP/fs.raw" bs=1M skip=1 count=63 status=none
}

# packets BRIDGE: those that the bridge saw from its guests.
packets() {
    cat "/sys/class/net/$1/statistics/rx_packets"
}
more_packets() {
    [ "$(packets "$1")" -gt "$2" ]
}

virsh -q net-define /dev/stdin <<'END'
<network><name>lan</name><bridge name='lan0'/></network>
END
virsh -q net-start lan
ip address add 198.51.100.1/24 dev lan0
guest_make_booting_disk "$disk" qcow2 1G "landfall.mode=writer landfall.address=198.51.100.7/24"
guest_define m1 --boot disk --disk "vda:qcow2:$disk" --network lan --agent --memory 128
begun=$(kit_now)
guest_start m1
ok "it boots" guest_wait_ready m1
diag "ready after $((($(kit_now) - begun) / 1000)) ms"
ok "it writes" guest_wait_acked m1 30 40
mac=$(virsh -q domiflist m1 | awk '{ print $5 }')
ok "it tells its hardware address" guest_wait_console m1 20 "^card eth0 $mac"
ok "it is booted once" guest_wait_console m1 1 '^boot 1$'
is "the root file system is the disk's" "$(guest_run m1 "awk '\$2 == \"/\" && \$3 != \"rootfs\" { print \$1, \$3 }' /proc/mounts")" "/dev/vda1 ext4"
ok "its bridge sees it" wait_for 20 more_packets lan0 "$(packets lan0)"
ok "it answers HTTP" wait_for 20 curl -sf -m 2 -o "$KIT_TMP/page" http://198.51.100.7/
ok "its agent answers" wait_for 30 virsh -q qemu-agent-command m1 '{"execute":"guest-ping"}'

ok "the power button" guest_shutdown m1
acked=$(guest_acked m1)
check "what it acknowledged is there" --at-least "$acked" --at-most "$acked"
ok "its file system was put away" e2fsck -fn "$KIT_TMP/fs.raw"

guest_start m1
ok "it boots again" guest_wait_ready m1
ok "it counts on" guest_wait_console m1 20 "^writer goes on after $acked\$"
ok "it knows that it was booted before" guest_wait_console m1 1 '^boot 2$'
ok "it writes again" guest_wait_more_acked m1 30 20
guest_power_cut m1
acked=$(guest_acked m1)
check "after a power cut" --at-least "$acked" --at-most $((acked + 2))
fails "a disk that lost a record is found out" record-check --at-least $((acked + 3)) "$KIT_TMP/copy.raw"
guest_start m1
ok "the journal is replayed" guest_wait_ready m1
ok "and it counts on" guest_wait_more_acked m1 30 20
unlike "no complaints" "$(guest_console m1)" 'error'
done_testing
