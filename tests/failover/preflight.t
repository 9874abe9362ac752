#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is looked at before a machine is moved, and what a plan tells of it. Nothing is changed by either:
# that is looked at, too.
. "$(dirname "$0")/steps.sh"
requires diff virt-xml-validate

libvirtd_start_other there
there=$LIBVIRT_OTHER_URI

# QEMU does not answer that host's libvirt the first time it is asked what it can do. It finds its modules
# from where it lies: there it stands in for a neighbour that the host has no use for.
mkdir -m 1777 "$KIT_TMP/probed"
qemu=$(command -v qemu-system-x86_64)
cat >"$KIT_TMP/shy" <<END
#!/bin/bash
mkdir "$KIT_TMP/probed/once" 2>/dev/null && exit 1
exec "${qemu%/*}/qemu-nbd" "\$@"
END
chmod +x "$KIT_TMP/shy"
nsenter --target "$(<"$KIT_TMP/libvirt-there/pid")" --mount \
    bash -c 'mount --bind "$1" "${1%/*}/qemu-nbd" && mount --bind "$2" "$1"' - "$qemu" "$KIT_TMP/shy"

cat >"$KIT_TMP/net.xml" <<'END'
<network><name>office</name><bridge name='lf-office'/></network>
END
virsh -q -c "$there" net-define "$KIT_TMP/net.xml" >/dev/null
virsh -q -c "$there" net-start office >/dev/null
virsh -q net-define <(sed 's/office/home/g' "$KIT_TMP/net.xml") >/dev/null
virsh -q net-start home >/dev/null

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 32M
guest_make_disk "$KIT_TMP/vdb.raw" raw 16M
guest_define m1 --mode idle --disk "vda:qcow2:$KIT_TMP/vda.qcow2" --disk "vdb:raw:$KIT_TMP/vdb.raw" \
    --network home
cycle m1 --exclude-disk vdb
cycle_ok "a cycle of the machine, which is off"
uuid=$(virsh -q domuuid m1 | grep .)
mac=$(virsh dumpxml m1 | xmllint --xpath 'string(//mac/@address)' -)

# look STEP [JSON]: with a target that is another host, and a mapping of networks.
look() {
    step "$1" m1 "$(jq -nc --arg uri "$there" --argjson more "${2:-{\}}" '
        {kind: (if "'"$1"'" == "plan" then "plan" else "migrate" end),
         target: {uri: $uri, networks: {home: "office"}}, known: {disks_excluded: ["vdb"],
         last_test: {at: (now | todate), recovery_point: 1}}} * $more')"
}

# found CHECK: its verdict and messages, of the last plan.
found() {
    jq -r --arg check "$1" '[.checks[] | select(.check == $check)] | map(.verdict + ": " + .message) |
        join("; ")' <<<"$result"
}

# Everything that could change: machines, networks, pools and autostart of both hosts, the store.
everything() {
    local uri
    for uri in "$LIBVIRT_DEFAULT_URI" "$there"; do
        virsh -q -c "$uri" list --all
        virsh -q -c "$uri" net-list --all
        virsh -q -c "$uri" pool-list --all
    done
    virsh dumpxml --inactive m1
    find "$live_store" "$KIT_TMP"/*.qcow2 -printf '%p %s %T@ %U %G %m\n' | sort
}
before=$(everything)

# --- when all is well ---------------------------------------------------------------------------

look plan '{"known": {"cycles": [
    {"interval_s": 60, "cycle_ms": 400, "sent_bytes": 6291456, "read_bytes": 6291456},
    {"interval_s": 60, "cycle_ms": 1400, "sent_bytes": 629145600, "read_bytes": 629145600},
    {"interval_s": 0, "cycle_ms": 90000, "sent_bytes": 99999999999, "read_bytes": 99999999999}]}}'
step_ok "F31: a plan"
ok "F30: of a host that was asked twice" test -d "$KIT_TMP/probed/once"
is "F31: nothing stands in the way" "$(fact ready)" true
is "F31: with all checks" "$(jq -r '[.checks[].check] | unique | join(" ")' <<<"$result")" \
    "conflicts definition fence networks readiness recovery-point resources shutdown source space store target test"
diag "$(jq -r '.checks[] | "\(.verdict) \(.check): \(.message)"' <<<"$result")"
is "F31: the machine keeps its name and identity" "$(fact domain_name) $(fact domain_uuid)" "m1 $uuid"
fact xml >"$KIT_TMP/planned.xml"
ok "F30: the definition fits the schema" virt-xml-validate "$KIT_TMP/planned.xml" domain
is "F30: with its address" "$(xmllint --xpath 'string(//mac/@address)' "$KIT_TMP/planned.xml")" "$mac"
is "F30: in the target's network" \
    "$(xmllint --xpath 'string(//interface/source/@network)' "$KIT_TMP/planned.xml")" office
like "F31: the difference shows the network" "$(fact diff)" "-      <source network=.home.*\+      <source network=.office"
unlike "F31: and nothing that stays" "$(fact diff | grep '^+')" "<(mac|memory|vcpu|driver|target|model|address) "
like "F31: each change has a reason" "$(jq -r '.changes[] | select(.what == "disk vdb") | .why' <<<"$result")" \
    "left out of the replication"
is "F32: the downtime to expect is that of the cycles" \
    "$(jq -r '.downtime | (.low_s <= .expected_s) and (.expected_s <= .high_s) and (.expected_s > 1)
        and (.high_s < 20) and (.parts | has("final_cycle_s") and has("start_s"))' <<<"$result")" true
like "F32: and says so" "$(jq -r .downtime.basis <<<"$result")" "^2 cycles; it writes "
like "F31: what is fenced" "$(jq -r '.fenced | join(" ")' <<<"$result")" "autostart.*says that it has moved"
look plan '{"options": {"shutdown": false}}'
is "F31: without a shutdown nothing is" "$(jq -r '.fenced | length' <<<"$result")" 0
is "F32: no cycle, no promise" "$(jq -r '.downtime | keys | join(" ")' <<<"$result")" basis
look preflight
step_ok "F31: a preflight"
is "F31: says the same" "$(fact ready)" true

# --- what stands in the way ---------------------------------------------------------------------

# blocked NAME CHECK MESSAGE [JSON]: a plan is made and says so.
blocked() {
    look plan "${4:-}"
    step_ok "F31: $1: a plan is made"
    like "F31: $1" "$(found "$2")" "blocked: .*$3"
}

blocked "a network that is not mapped" definition "no network of the target is mapped" \
    '{"target": {"networks": {"home": null}}}'
blocked "a network that is not there" networks "no network called nowhere" \
    '{"target": {"networks": {"home": "nowhere"}}}'
look preflight '{"target": {"networks": {"home": "nowhere"}, "store_path": "/nowhere"}}'
is "F31: a move is not begun then" "$status" 1
like "F31: the first cause comes with its hint" "$messages" "error unsupported: .*no network called nowhere.*--network"
like "F31: the others are told, too" "$messages" "warning : store: the target does not see"
blocked "a recovery point that is not there" recovery-point "recovery point 9" '{"recovery_point": 9}'
blocked "a store that the target does not see" store "does not see the replica as /nowhere/" \
    '{"target": {"store_path": "/nowhere"}}'
blocked "too little memory" resources "of memory, the target" \
    '{"target": {"machine": {"memory_mib": 99999999}}}'
blocked "a target that does not answer" target "cannot connect to host" \
    '{"target": {"uri": "qemu+unix:///system?socket=/nowhere"}}'
blocked "no test" test "no test of it has passed" \
    '{"known": {"last_test": null}, "options": {"require_test_days": 7}}'
blocked "an old test" test "the last test that passed is [0-9]+ days old" \
    '{"known": {"last_test": {"at": "2020-01-01T00:00:00Z"}}, "options": {"require_test_days": 7}}'
blocked "what the inventory knows" readiness "disks: disk sda cannot be replicated" \
    '{"known": {"readiness": {"checks": [{"check": "disks", "verdict": "blocked",
      "message": "disk sda cannot be replicated"}]}}}'
blocked "a pool that is not there" space "no storage pool called fast" \
    '{"target": {"reach": "nbd", "pool": "fast"}}'
blocked "one host, one name" conflicts "another machine called m1" \
    "$(jq -nc --arg uri "$LIBVIRT_DEFAULT_URI" '{target: {uri: $uri, networks: {home: "home"}}}')"

virsh -q -c "$there" net-destroy office >/dev/null
blocked "a network that is down" networks "network office is not active"
virsh -q -c "$there" net-start office >/dev/null

clash() {
    virsh -q dumpxml m1 | sed "s|<name>m1|<name>$1|; s|<uuid>.*</uuid>|$2|" >"$KIT_TMP/clash.xml"
    virsh -q -c "$there" define "$KIT_TMP/clash.xml" >/dev/null
}
clash other "<uuid>$uuid</uuid>"
blocked "the machine is there" conflicts "has the machine already, as other"
virsh -q -c "$there" undefine other >/dev/null
clash m1 ""
blocked "another of its name" conflicts "another machine called m1"
virsh -q -c "$there" undefine m1 >/dev/null
virsh -q dumpxml m1 | sed "s|<name>m1|<name>twin|; /<uuid>/d; s|'home'|'office'|; /<disk/,/<.disk>/d" \
    >"$KIT_TMP/twin.xml"
virsh -q -c "$there" define "$KIT_TMP/twin.xml" >/dev/null
look plan
like "F31: its address at a machine that is off" "$(found conflicts)" "warning: machine twin .* $mac"
virsh -q -c "$there" start twin --paused >/dev/null
blocked "its address at a machine that runs" conflicts "machine twin there has the same MAC address $mac"
virsh -q -c "$there" destroy twin >/dev/null
virsh -q -c "$there" undefine twin >/dev/null

step fence m1
blocked "fenced by another move" fence "it was moved to there by operation 12" '{"operation": 13}'
step unfence m1

is "F31: nothing was changed by all that" "$(everything)" "$before"

# --- a machine that runs, and one that is gone --------------------------------------------------

guest_start m1
like "F31: a guest without an agent" "$(look plan; found shutdown)" "warning: no guest agent"
virsh -q suspend m1 >/dev/null
blocked "a paused guest" shutdown "it is paused"
guest_destroy m1
virsh -q undefine m1 --checkpoints-metadata >/dev/null
gone() {
    jq -nc --arg uuid "$uuid" --argjson more "${1:-{\}}" '{machine: {uuid: $uuid}} * $more'
}
virsh -q define "$KIT_TMP/twin.xml" >/dev/null
virsh -q domrename twin m1 >/dev/null
blocked "a machine that its host has lost" source "does not have machine|has no machine|no machine" "$(gone)"
look plan "$(gone '{"options": {"shutdown": false}}')"
like "F31: what there is of it can be started" "$(found source)" "^warning: .*from what has come so far"
done_testing
