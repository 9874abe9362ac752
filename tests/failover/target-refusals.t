#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a target may refuse: each is an error that says what to do, nothing foreign is touched, and the
# same step succeeds once the cause is gone. And what the watch makes of machines that do not work.
. "$(dirname "$0")/target.sh"

# A small store of its own, so that it can be full.
truncate -s 300M "$KIT_TMP/store.image"
mkfs.ext4 -q "$KIT_TMP/store.image"
mkdir "$live_store"
mount -o loop "$KIT_TMP/store.image" "$live_store"
cleanup_fn umount "$live_store"

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 32M
virsh -q net-define /dev/stdin <<<"<network><name>lan</name><bridge name='br-lan'/></network>" >/dev/null
virsh -q net-start lan >/dev/null
guest_define web --mode idle --disk "vda:qcow2:$KIT_TMP/vda.qcow2" --network lan
cycle web
cycle_ok "a machine has a recovery point"
target_machine=web

# refused NAME REGEX OPERATION STEP [JSON]
refused() {
    target_step "$3" "$4" "${5:-}"
    [ "$status" -ne 0 ] && [[ $messages =~ $2 ]] && pass "$1" && return
    diag "status $status, wanted $2" "$messages"
    fail "$1"
}
# then_ok NAME OPERATION STEP [JSON]
then_ok() {
    target_step "$2" "$3" "${4:-}"
    step_ok "$1"
}

# --- the store -----------------------------------------------------------------------------------

refused "F20: there is no such recovery point" 'config: .*no recovery point 9 .*there are' 1 pin '{"recovery_point":9}'
dd if=/dev/zero of="$live_store/ballast" bs=64k 2>/dev/null || true
dd if=/dev/zero of="$live_store/ballast2" bs=1k 2>/dev/null || true
refused "F27: a full store cannot pin" 'error replica: .*No space left' 1 pin
refused "F27: nor clone" 'error replica: .*No space left' 1 clone
rm "$live_store/ballast2"
target_step 1 pin
refused "F27: with space for the pin alone, qemu-img says so" '(replica: .*No space left|^$)' 1 clone
rm "$live_store/ballast"
then_ok "F27: with space it is pinned" 1 pin
then_ok "F27: and cloned" 1 clone
is "F27: nothing half done is left" "$(find "$live_store" -name '*.part' -o -name '*.tmp')" ""

# --- networks ------------------------------------------------------------------------------------

refused "F22: no such network" 'config: there is no network dmz on host there .*net-list' 1 test-network '{"options":{"network":"dmz"}}'
virsh -q net-define /dev/stdin <<<"<network><name>dmz</name><bridge name='br-dmz'/></network>" >/dev/null
refused "F22: it is not active" 'config: network dmz of host there is not active .*net-start dmz' 1 test-network '{"options":{"network":"dmz"}}'
refused "F25: an isolated network cannot be probed from here" 'unsupported: .*--network NAME' \
    1 test-network '{"options":{"probes":[{"kind":"tcp","port":22}]}}'
virsh -q net-start dmz >/dev/null
then_ok "F22: with one that is active" 1 test-network '{"options":{"network":"dmz"}}'
is "F22: which is not ours" "$(fact created)" false

# --- the definition ------------------------------------------------------------------------------

sed 's,<name>web</name>,<name>web-1</name>,; /<uuid>/d' "$KIT_TMP/web.xml" >"$KIT_TMP/foreign.xml"
virsh -q define "$KIT_TMP/foreign.xml" >/dev/null
foreign=$(definition_of web-1)
refused "F23: somebody else has the name" 'conflict: host there has a machine web-1 of that name.*--name-suffix' \
    1 define '{"kind":"migrate","target":{"networks":{"lan":"dmz"}}}'
is "F23: his machine stays as it is" "$(definition_of web-1)" "$foreign"
foreign_uuid=$(virsh -q domuuid web-1 | grep .)
target_facts[6]="{\"define\":{\"domain_uuid\":\"$foreign_uuid\"}}"
for one in start stop undefine; do
    refused "F23: $one does nothing to a machine without our note" 'conflict: machine web-1 .* is not ours' 6 $one
done
is "F23: it is there" "$(definition_of web-1)" "$foreign"
virsh -q undefine web-1 >/dev/null
refused "F23: the target does not have what it would need" 'unsupported: machine web-1 cannot be .*: processors: .*--plan' \
    1 define '{"target":{"machine":{"cpus":10000}}}'
refused "F23: nor is it left without a network" 'unsupported: .*no network of the target is mapped' 9 define '{"kind":"migrate"}'
then_ok "F23: then it is defined" 1 define

# --- the start -----------------------------------------------------------------------------------

then_ok "a definition that wants too much" 1 define '{"options":{"memory_mib":8000000}}'
refused "F24: no memory" 'source: host there cannot start machine web-1: .*memory.* --memory' 1 start
then_ok "one that wants less" 1 define
virsh -q net-destroy dmz >/dev/null
refused "F24: the network has gone" "source: host there cannot start machine web-1: .*network 'dmz' is not active.*net-list" 1 start
virsh -q net-start dmz >/dev/null
chmod 700 "$KIT_TMP"
refused "F24: QEMU's user cannot enter" 'source: .*ermission denied.*folders above the store' 1 start
chmod 755 "$KIT_TMP"
mv "$live_store/$(virsh -q domuuid web | grep .)/clones/1" "$KIT_TMP/away"
refused "F24: the target does not see the store" 'source: .*--store-path' 1 start
mv "$KIT_TMP/away" "$live_store/$(virsh -q domuuid web | grep .)/clones/1"
then_ok "F24: with all that mended it starts" 1 start
then_ok "F24: and once more" 1 start
is "F24: it ran already" "$(fact already)" true
refused "F26: what runs is not taken away" 'conflict: machine web-1 on host there still runs' 1 undefine

refused "F26: nor are its disks" 'conflict: qemu-img info failed: .*lock.*end the machine' 1 remove-clone

# --- the watch -----------------------------------------------------------------------------------

refused "F25: a probe that cannot be" "config: probe 1: 'telepathy' is not a kind" 1 watch '{"options":{"probes":[{"kind":"telepathy"}]}}'
refused "F25: a pattern that is none" "config: probe 1: '\\(' is no pattern" 1 watch '{"options":{"probes":[{"kind":"console","pattern":"("}]}}'
then_ok "F25: it is watched until it is ready" 1 watch '{"options":{"wait_s":60,"probes":[{"kind":"console","pattern":"^ready$"}]}}'
ip address add 198.51.100.1/24 dev br-dmz
guest_open_channel web-1
ok "its guest answers in the network" guest_run web-1 'ip address add 198.51.100.7/24 dev eth0 &&
    ip link set eth0 up && mkdir -p /tmp/www && echo hello >/tmp/www/index.html && httpd -p 80 -h /tmp/www'
then_ok "F25: TCP and HTTP are probed" 1 watch '{"options":{"wait_s":30,"probes":[{"kind":"tcp","port":80,"address":"198.51.100.7"},
    {"kind":"http","url":"http://198.51.100.7/"}]}}'
is "F25: both answer" "$(jq -c '[.checks[].verdict]' <<<"$result")" '["passed","passed","passed"]'
then_ok "F25: what does not answer" 1 watch '{"options":{"wait_s":6,"probes":[{"kind":"agent"},
    {"kind":"http","url":"http://198.51.100.7/none"},{"kind":"tcp","port":23,"address":"198.51.100.7"}]}}'
is "F25: is a verdict" "$(fact verdict)" failed
like "F25: with the reasons" "$(jq -c '[.checks[].message]' <<<"$result")" \
    'agent.*(status 404.*refused|refused.*status 404)|not configured'
guest_run web-1 'poweroff -f' >/dev/null 2>&1 &
then_ok "F25: one that goes off" 1 watch '{"options":{"wait_s":60,"probes":[{"kind":"console","pattern":"never"}]}}'
is "F25: is a verdict at once" "$(jq -r '.verdict + " " + .checks[0].message' <<<"$result")" "failed it has gone off"
like "F25: and what it said last is kept" "$(jq -c .console <<<"$result")" '"ready"'

target_steps 1 '{}' "${target_undoes[@]}" && pass "all of it goes" || fail "all of it goes"
is "F22: but not the operator's network" "$(virsh -q net-list --name | grep -c dmz)" 1
is "F26: nothing is left" "$(virsh -q list --all --name | grep -c . || true) $(find "$live_store"/*/clones "$live_store"/*/pins -mindepth 1)" "1 "
done_testing
