#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A test machine that runs on disks served by a unix socket: nobody else gets at them, the server
# outlives the step, a dead one comes back where it was without a record lost, and nothing is left.
. "$(dirname "$0")/served.sh"
requires nbdinfo setpriv

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 64M
guest_make_disk "$KIT_TMP/vdb.raw" raw 32M
ok "a machine runs" served_start --rate 100 --disk "vda:qcow2:$KIT_TMP/vda.qcow2" \
    --disk "vdb:raw:$KIT_TMP/vdb.raw"
mkdir "$live_store"
cycle web
is "it has a recovery point" "$status" 0
left() {
    virsh -q list --all --name | sed '/^$/d'
    (cd "$live_store" && find . ! -name '*.pin' -printf '%p %m %U %G\n' | sort)
    find /run/landfall-nbd -type s 2>/dev/null
}
before=$(left || true)
served_more=$(jq -nc --arg folder "$KIT_TMP/nbd" '{operation: 5, kind: "test", recovery_point: 1,
    target: {reach: "nbd", store_path: null}, nbd: {folder: $folder}}')

ok "F40: trust has nothing to do on this host" served trust
is "and says so" "$(fact needed)" false
ok "pin, clone, serve" served pin clone serve
socket=$(fact 'disks[0].socket')
pid=$(fact server.pid)
is "both disks, by a socket" \
    "$(jq -r '[.disks[] | .name, .transport, .size_bytes] | join(" ")' <<<"$result")" \
    "vda unix 67108864 vdb unix 33554432"
is "the socket is QEMU's alone" "$(stat -c '%U %a' "$socket")" "libvirt-qemu 600"
fails "F41: another user is not let in" setpriv --reuid nobody --clear-groups \
    nbdinfo "nbd+unix:///vda?socket=$socket"
ok "the server has left the step's session" \
    test "$(ps -o sid= -p "$pid")" != "$(ps -o sid= -p $$)"
ok "serving again" served serve
is "F42: is the same server" "$(fact server.pid) $(fact server.started)" "$pid false"

ok "a machine starts on it" served test-network define start
console_follow web-test
ok "and writes" guest_wait_acked web-test 60 20
stop_process "$pid" KILL
ok "a dead server makes it stand still" wait_for 30 served_is web-test "paused (I/O error)"
ok "serving again" served serve
is "F42: starts it where it was" "$(fact server.started) $(fact 'disks[0].socket')" "true $socket"
is "and the machine goes on" "$(served_state web-test)" "running (unpaused)"
for round in 1 2 3 4; do
    ok "round $round: it writes on" guest_wait_more_acked web-test 30 $((RANDOM % 30 + 5))
    stop_process "$(fact server.pid)" KILL
    served serve
done
ok "at last, too" guest_wait_more_acked web-test 30 20
acked=$(guest_acked web-test)
pid=$(fact server.pid)

ok "it is stopped" served stop undefine
ok "no longer served" served unserve
ok "by anybody" process_is_gone "$pid"
for disk in vda vdb; do
    qemu-img convert -O raw "$live_store"/*/clones/5/$disk.qcow2 "$KIT_TMP/$disk.copy"
done
ok "F43: no record that it acknowledged went with a server" \
    record-check --at-least "$acked" "$KIT_TMP/vda.copy" "$KIT_TMP/vdb.copy"
ok "not served once more" served unserve
ok "the rest goes" served remove-network remove-copy remove-clone unpin
is "F44: all is as before" "$(left)" "$before"
ok "production runs" guest_wait_more_acked web 30 10
done_testing
