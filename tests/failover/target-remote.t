#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A test at a host behind ssh, which sees the store under another path.
. "$(dirname "$0")/target.sh"
# shellcheck source=tests/kit/remote.sh
. "$(dirname "$0")/../kit/remote.sh"

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 32M
virsh -q net-define /dev/stdin <<<"<network><name>lan</name><bridge name='br-lan'/></network>" >/dev/null
virsh -q net-start lan >/dev/null
guest_xml web --mode writer --limit 50 --rate 100 --disk "vda:qcow2:$KIT_TMP/vda.qcow2" --network lan |
    sed "s,</devices>,<video><model type='vga'/></video></devices>," >"$KIT_TMP/web.xml"
virsh -q define "$KIT_TMP/web.xml" >/dev/null
guest_start web
ok "a machine writes" guest_wait_acked web 60 50
cycle web
cycle_ok "it has a recovery point"
guest_destroy web >/dev/null
target_machine=web

remote_start there
seen=/var/lib/libvirt/replicas
nsenter --target "$(<"$KIT_TMP/libvirt-there/pid")" --mount bash -c 'mkdir "$2" && mount --bind "$1" "$2"' \
    - "$live_store" "$seen"
there="{\"target\":{\"uri\":\"$REMOTE_URI?keyfile=$remote_key\",\"store_path\":\"$seen\"}}"
# Only the target knows this path: the store is nowhere else for it.
there_only=$(jq -c '.options = {wait_s: 90, probes: [{kind: "console", pattern: "^writer goes on after 50"}]}' <<<"$there")

target_steps 1 "$there" pin clone || true
like "F21: the disk is where the target sees it" "$(jq -r '.disks[0].path' <<<"$result")" "^$seen/"
target_steps 1 "$there" test-network define start && pass "it is made and started" || fail "it is made and started"
is "F21: from the store as the target sees it" \
    "$(virsh -q -c "$LIBVIRT_OTHER_URI" domblklist web-1 | awk '{ print $2 }' | grep -c "^$seen/")" 1
target_step 1 watch "$there_only"
step_ok "F25: it is watched from here"
is "F25: it goes on where the recovery point ended" "$(fact verdict)" passed
[ "$(fact verdict)" = passed ] || diag "$result"
is "F25: there is a picture of its screen" "$(head -c 4 "$target_screen" | tail -c 3)" PNG

# As where the store is not seen: there is no log to read. The machine starts anew meanwhile.
begin_step watch web "$(target_work 1 "$(jq -c '.facts = {clone: {folder: "/nowhere"}}' <<<"$there_only")")"
hears() {
    grep -q 'is not known' "$KIT_TMP/step.events"
}
ok "F25: without a log, the port itself is listened to" wait_for 30 hears
virsh -q -c "$LIBVIRT_OTHER_URI" reset web-1
end_step
target_learn 1 watch
step_ok "F25: it is watched"
is "F25: and what it says is heard" "$(fact verdict)" passed
[ "$(fact verdict)" = passed ] || diag "$result"

target_steps 1 "$there" "${target_undoes[@]}" && pass "F26: all of it goes" || fail "F26: all of it goes"
is "F26: nothing is left there" "$(virsh -q -c "$LIBVIRT_OTHER_URI" list --all --name | grep -c . || true) $(virsh -q \
    -c "$LIBVIRT_OTHER_URI" net-list --all --name | grep -c . || true) $(find "$live_store"/*/clones "$live_store"/*/pins -mindepth 1)" "0 0 "
done_testing
