# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of `landfall cycle` on live guests share: a cycle with its events taken apart, what
# is ours on the host as text, and proofs of a recovery point.

# shellcheck source=tests/kit/guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/../kit/guest.sh"
requires nbdcopy qemu-img jq

live_store=$KIT_TMP/store
live_hook=$KIT_TMP/hook

# Run while the snapshot is held: an independent copy of each disk, for comparison.
cat >"$live_hook" <<'END'
#!/bin/bash
set -e
for variable in ${!LANDFALL_NBD_*}; do
    nbdcopy "${!variable}" "$KIT_TMP/independent.${variable#LANDFALL_NBD_}"
done
END
chmod +x "$live_hook"

# cycle MACHINE OPTION…: leaves $status, $result (the recovery point) and $messages, where its
# errors and warnings are.
cycle() {
    local machine=$1
    shift
    status=0
    landfall cycle --host "$LIBVIRT_DEFAULT_URI" --machine "$machine" --store "$live_store" --json \
        "$@" >"$KIT_TMP/cycle.events" 2>"$KIT_TMP/cycle.stderr" || status=$?
    read_events
}

read_events() {
    result=$(jq -c 'select(.event == "result").recovery_point' "$KIT_TMP/cycle.events" || true)
    messages=$(jq -r 'select(.event == "error" or .event == "warning") |
        "\(.event) \(.code): \(.disk // "") \(.message) \(.hint // "")"' "$KIT_TMP/cycle.events" || true)
    messages+=$(cat "$KIT_TMP/cycle.stderr")
}

# begin_cycle MACHINE OPTION…: in the background; $cycle_pid is its process.
begin_cycle() {
    local machine=$1
    shift
    : >"$KIT_TMP/cycle.events"
    env --default-signal=INT,QUIT landfall cycle --host "$LIBVIRT_DEFAULT_URI" \
        --machine "$machine" --store "$live_store" --json "$@" >"$KIT_TMP/cycle.events" \
        2>"$KIT_TMP/cycle.stderr" &
    cycle_pid=$!
}

# end_cycle: waits for its end; $took_ms is how long that took.
end_cycle() {
    local begun
    begun=$(kit_now)
    status=0
    # Not a word of the shell's about a process that was killed on purpose.
    { wait "$cycle_pid" || status=$?; } 2>/dev/null
    took_ms=$((($(kit_now) - begun) / 1000))
    read_events
}

cycle_has() {
    grep -q "\"event\":\"$1\"" "$KIT_TMP/cycle.events" || process_is_gone "$cycle_pid"
}

# cycle_reaches EVENT [SECONDS]
cycle_reaches() {
    wait_for "${2:-30}" cycle_has "$1" && grep -q "\"event\":\"$1\"" "$KIT_TMP/cycle.events"
}

# cycle_ok NAME: the last cycle succeeded; shows what it said when it did not.
cycle_ok() {
    is "$1" "$status" 0
    [ "$status" -eq 0 ] || diag "$messages"
}

# disk_of DISK FIELD: of the last cycle's result.
disk_of() {
    jq -r --arg disk "$1" ".disks[] | select(.name == \$disk) | .$2" <<<"$result"
}

# The modes of the last cycle, "vda=bitmap vdb=hash-scan(cause)".
modes() {
    jq -r '[.disks[] | "\(.name)=\(.mode)" +
        (if .demotion_cause then "(\(.demotion_cause))" else "" end)] | join(" ")' <<<"$result"
}

# --- the host -----------------------------------------------------------------------------------

checkpoints() {
    virsh -q checkpoint-list "$1" --name | grep . | sort || true
}

nodes_of() {
    virsh -q qemu-monitor-command "$1" '{"execute":"query-named-block-nodes"}'
}

# What left_on_host says after a cycle of a running machine: there is the one checkpoint that is to
# stay, with its bitmaps.
nothing_left="state: running
checkpoints: 1
markers: 0
files:
Job type: None
NBD exports: 0
images in use: 0
bitmaps of other checkpoints:
errors in the guest: 0"

# left_on_host MACHINE: all that a cycle could have left there, as text.
left_on_host() {
    read_host "$1" | sed 's/ *$//'
}

read_host() {
    local state
    state=$(guest_state "$1")
    echo "state: $state"
    echo "checkpoints: $(checkpoints "$1" | wc -l)"
    echo "markers: $({ virsh dumpxml "$1"; virsh dumpxml --inactive "$1"; } | grep -c landfall: || true)"
    echo "files: $(live_files)"
    [ "$state" != "shut off" ] || return 0
    virsh -q domjobinfo "$1" | grep 'Job type' | tr -s ' '
    echo "NBD exports: $(virsh -q qemu-monitor-command "$1" '{"execute":"query-block-exports"}' |
        jq '.return | length')"
    echo "images in use: $(nodes_of "$1" | jq '[.return[].file | select(test("landfall"))] | length')"
    echo "bitmaps of other checkpoints: $(nodes_of "$1" | jq -r --arg one "$(checkpoints "$1")" \
        '[.return[]["dirty-bitmaps"] // [] | .[].name | select(. != $one)] | unique | join(" ")')"
    echo "errors in the guest: $(guest_console "$1" | grep -c '^error' || true)"
}

# Nothing but our own makes files of this name; libvirt's own folders of checkpoints are no litter.
live_files() {
    find "$KIT_TMP" /var/lib/libvirt /run/libvirt -name '*landfall*' ! -path '*/checkpoint/*' \
        ! -path "$live_store*" -printf '%f '
}

# --- recovery points ----------------------------------------------------------------------------

# export_disk MACHINE NUMBER DISK: to $KIT_TMP/copy.DISK; NUMBER 0 is the latest.
export_disk() {
    local point=()
    [ "$2" = 0 ] || point=(--recovery-point "$2")
    landfall store export "$live_store" "$1" "${point[@]}" --disk "$3" --format raw --force \
        "$KIT_TMP/copy.$3"
}

# same_as_independent NAME DISK…: the latest exports equal what the hook copied.
same_as_independent() {
    local name=$1 disk
    shift
    for disk; do
        ok "$name: $disk equals the independent copy" \
            cmp "$KIT_TMP/copy.$disk" "$KIT_TMP/independent.${disk^^}"
    done
    rm -f "$KIT_TMP"/independent.*
}

# --- a machine m1 with vda, which has bitmaps, and vdb, a raw disk -------------------------------

# equals_disks NAME: it is off, and its latest recovery point is what it has.
equals_disks() {
    local disk
    for disk in vda vdb; do
        ok "$1: export $disk" export_disk m1 0 $disk
    done
    ok "$1: vda is what the machine has" qemu-img compare -q "$KIT_TMP/vda.qcow2" "$KIT_TMP/copy.vda"
    ok "$1: vdb is what the machine has" cmp "$KIT_TMP/vdb.raw" "$KIT_TMP/copy.vdb"
}

# running_delta NAME: it is off, boots and writes on; a cycle meanwhile is a delta.
running_delta() {
    local acked disk
    guest_start m1
    ok "$1: the guest boots again" guest_wait_ready m1
    guest_wait_more_acked m1 30 10
    acked=$(guest_acked m1)
    cycle m1 --on-snapshot "$live_hook"
    cycle_ok "$1: the cycle"
    is "$1: it is a delta" "$(modes)" "vda=bitmap vdb=hash-scan(format-without-bitmaps)"
    is "$1: consistency" "$(jq -r .consistency <<<"$result")" crash
    for disk in vda vdb; do
        ok "$1: export $disk" export_disk m1 0 $disk
    done
    same_as_independent "$1" vda vdb
    ok "$1: with all that was acknowledged" \
        record-check --at-least "$acked" "$KIT_TMP/copy.vda" "$KIT_TMP/copy.vdb"
}
