# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests that break a store have in common: a template with three recovery points of two
# disks whose next cycle has everything to do (a layer, a journal, zeros, a size that changed, a
# merge with a rebase), a fresh copy of it for each fault, and the promises that hold after any.

# Hundreds of cycles: where a sync costs nothing. The calls are the same.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
. "$(dirname "${BASH_SOURCE[0]}")/../replicator/cycles.sh"
requires qemu-nbd strace

export STORE # for list_calls
TEMPLATE=$KIT_TMP/template
RETAIN=2
seed=${LANDFALL_SEED:-$((RANDOM * 32768 + RANDOM))}
diag "LANDFALL_SEED=$seed"
RANDOM=$((seed % 32768))

# fault_template: vda and vdb as sources, $arguments for a cycle, $TEMPLATE with points 1 to 3, and
# the copies of 1 to 3 and of what 4 has to hold.
fault_template() {
    local vda=$KIT_TMP/vda.raw vdb=$KIT_TMP/vdb.raw number
    truncate -s 1M "$vda"
    truncate -s $((393216 + 512)) "$vdb"
    random_bytes "$vda" 0 524288
    random_bytes "$vdb" 65536 65536
    start_qemu_nbd "$KIT_TMP/vda.sock" -r -f raw "$vda"
    arguments=(--disk "vda=$KIT_URI")
    fault_serve_vdb
    for number in 1 2 3; do
        keep_copy $number vda "$vda"
        keep_copy $number vdb "$vdb"
        commits "recovery point $number" "${arguments[@]}" "${vdb_argument[@]}"
        random_bytes "$vda" $((number * 65536)) 131072
        zero_bytes "$vda" $(((number + 4) * 65536)) 65536
        random_bytes "$vdb" $((number * 65536)) 512
    done
    truncate -s $((393216 + 65536)) "$vdb"
    stop_process "$vdb_server"
    fault_serve_vdb
    keep_copy 4 vda "$vda"
    keep_copy 4 vdb "$vdb"
    arguments+=("${vdb_argument[@]}")
    cp -a "$STORE" "$TEMPLATE"
}

fault_serve_vdb() {
    start_qemu_nbd "$KIT_TMP/vdb.sock" -r -f raw "$KIT_TMP/vdb.raw"
    vdb_server=$KIT_PID
    vdb_argument=(--disk "vdb=$KIT_URI")
}

# fault_store delta|first: $STORE as it is before such a cycle, which makes recovery point $next.
fault_store() {
    rm -rf "$STORE"
    next=1
    [ "$1" = first ] && return
    cp -a --sparse=always "$TEMPLATE" "$STORE"
    next=4
}

# copy_of NUMBER: where the copy is. Nothing changes after 4, nor after a first cycle.
copy_of() {
    echo "$COPIES/$((next == 1 || $1 > 4 ? 4 : $1))"
}

# points_are_right: every recovery point there is proven, and one is compared with its copy by other
# means than ours, of any disk; LANDFALL_LONG=1: all of them.
points_are_right() {
    local points disks=(vda vdb) number disk layer
    read -ra points <<<"$(recovery_points)"
    [ ${#points[@]} -gt 0 ] || return 0
    landfall store verify "$STORE" "$MACHINE" --all --json >"$KIT_TMP/verify" 2>&1 ||
        { echo "store verify: $(tail -n 3 "$KIT_TMP/verify")" && return 1; }
    if [ -z "${LANDFALL_LONG:-}" ]; then
        points=("${points[RANDOM % ${#points[@]}]}")
        disks=("${disks[RANDOM % 2]}")
    fi
    for number in "${points[@]}"; do
        for disk in "${disks[@]}"; do
            layer=$(jq -er ".disks[] | select(.name == \"$disk\") | .layer" \
                "$(manifest "$number")") &&
                point_reads_as "$STORE/$MACHINE/disks/$disk/$layer" "$(copy_of "$number")/$disk" ||
                { echo "recovery point $number, disk $disk: not the copy" && return 1; }
        done
    done
}

# points_may_be BEFORE…: the recovery points are those of before, of after, or of a retention in
# between: without a gap, and never without the newest.
points_may_be() {
    local points
    points=$(recovery_points)
    case "$next $points" in
    "1 " | "1 1" | "4 1 2 3" | "4 1 2 3 4" | "4 2 3 4" | "4 3 4") ;;
    *) echo "recovery points: $points" && return 1 ;;
    esac
    [ "$1" -ne 0 ] || [ "${points##* }" = "$next" ] || { echo "done, but $points" && return 1; }
}

# error_is_clear: the cycle that failed says what and what to do, in our words, and no more.
error_is_clear() {
    local said
    [ ! -s "$EVENTS.stderr" ] || { echo "standard error: $(cat "$EVENTS.stderr")" && return 1; }
    [ "$status" -ne 0 ] || return 0
    said=$(tail -n 1 "$EVENTS")
    [ "$status" -eq 1 ] &&
        [[ $said =~ \"event\":\"error\",\"code\":\"(replica|corrupt|unsupported|source|conflict)\" ]] &&
        [[ $said =~ \"message\":\"[^\"]+ && $said =~ \"hint\":\"[^\"]+ ]] ||
        { echo "status $status, $said" && return 1; }
    ! grep -q '"event":"committed"' "$EVENTS" || { echo "committed, then failed" && return 1; }
}

# heals: the next cycle succeeds, what it leaves is right, proven, and no file more.
heals() {
    local points files disk
    landfall-replicate --store "$STORE" --machine "$MACHINE" "${arguments[@]}" \
        --retain $RETAIN >"$EVENTS" 2>&1 || { echo "the next: $(tail -n 1 "$EVENTS")" && return 1; }
    points=$(recovery_points)
    files="machine.json lock"
    for disk in vda vdb; do
        files+=" disks/$disk/base.raw disks/$disk/block-map"
        [ "$points" != "3 4" ] ||
            files+=" disks/$disk/000004.qcow2 disks/$disk/000004.journal"
    done
    case "$next $points" in
    "1 1" | "1 1 2" | "4 3 4" | "4 4 5") ;;
    *) echo "after the next: $points" && return 1 ;;
    esac
    for points in $points; do
        files+=" recovery-points/$(printf %06d "$points").json"
    done
    [ "$(cd "$STORE/$MACHINE" && find . -type f ! -name '*.pin' -printf '%P\n' | sort)" = \
        "$(tr ' ' '\n' <<<"$files" | sort)" ] ||
        { echo "files: $(cd "$STORE/$MACHINE" && find . -type f -printf '%P ')" && return 1; }
    points_are_right
}

# traced STRACE-ARGUMENT…: one cycle under strace; $status, $EVENTS as cycle leaves them.
traced() {
    status=0
    strace -f -qq -o "$KIT_TMP/trace" "$@" landfall-replicate --store "$STORE" \
        --machine "$MACHINE" "${arguments[@]}" --retain $RETAIN >"$EVENTS" 2>"$EVENTS.stderr" ||
        status=$?
}

# list_calls CALL…: those on the store in a cycle that nothing disturbs, as lines "CALL N": strace counts by
# thread, so N is the place among the calls of that name in any thread.
list_calls() {
    traced -y -e trace="$(IFS=, && echo "$*")"
    [ "$status" -eq 0 ] || die "a traced cycle failed: $(cat "$EVENTS" "$EVENTS.stderr")"
    perl -ne 'my ($thread, $call, $rest) = /^(\d+) +(\w+)\((.*)/ or next;
        my $n = ++$count{$thread}{$call};
        print "$call $n\n" if "$call $rest" =~ /^io_uring|\Q$ENV{STORE}\E/' "$KIT_TMP/trace" |
        sort -u | sort -k 1,1 -k 2,2n
}
