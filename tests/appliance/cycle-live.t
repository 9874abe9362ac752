#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ten cycles of a guest that writes all the time: every recovery point is one state the guest was in,
# equal to an independent copy of the same snapshot, and readable by stock tools.
. "$(dirname "$0")/../kit/guest.sh"
requires nbdcopy qemu-img jq

cycles=10
store=$KIT_TMP/store
guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 64M
guest_make_disk "$KIT_TMP/vdb.raw" raw 48M
guest_define m1 --mode writer --disk "vda:qcow2:$KIT_TMP/vda.qcow2" --disk "vdb:raw:$KIT_TMP/vdb.raw"
uuid=$(virsh domuuid m1)
guest_start m1
ok "the guest boots" guest_wait_ready m1
ok "the guest writes" guest_wait_acked m1 30 20

# Run while the snapshot is held: what the guest has acknowledged before and after it was taken
# bounds what may be in it, and nbdcopy makes the independent copy.
cat > "$KIT_TMP/hook" <<'HOOK'
#!/bin/bash
set -e
nbdcopy "$LANDFALL_NBD_VDA" "$KIT_TMP/independent.vda"
nbdcopy "$LANDFALL_NBD_VDB" "$KIT_TMP/independent.vdb"
HOOK
chmod +x "$KIT_TMP/hook"
export KIT_TMP

for n in $(seq $cycles); do
    before=$(guest_acked m1)
    run landfall cycle --host qemu:///system --machine m1 --store "$store" \
        --on-snapshot "$KIT_TMP/hook" --json
    after=$(guest_acked m1)
    is "cycle $n succeeds" "$status" 0
    [ "$status" -eq 0 ] || diag "$output"
    result=$(grep '"event":"result"' <<<"$output")
    is "cycle $n: vda by $([ "$n" = 1 ] && echo everything || echo bitmap)" \
        "$(jq -r '.recovery_point.disks[] | select(.name == "vda").mode' <<<"$result")" \
        "$([ "$n" = 1 ] && echo initial || echo bitmap)"
    is "cycle $n: vdb, raw, by $([ "$n" = 1 ] && echo everything || echo hash scan)" \
        "$(jq -r '.recovery_point.disks[] | select(.name == "vdb").mode' <<<"$result")" \
        "$([ "$n" = 1 ] && echo initial || echo hash-scan)"
    for disk in vda vdb; do
        ok "cycle $n: export $disk" landfall store export "$store" m1 --recovery-point "$n" \
            --disk $disk --format raw "$KIT_TMP/$n.$disk"
        ok "cycle $n: $disk equals the independent copy" \
            cmp "$KIT_TMP/$n.$disk" "$KIT_TMP/independent.$disk"
    done
    # One record may be on disk before its acknowledgement reaches the console, and one more begun.
    ok "cycle $n: the records are whole and one state" \
        record-check --at-least "$before" --at-most $((after + 2)) "$KIT_TMP/$n.vda" "$KIT_TMP/$n.vdb"
    rm -f "$KIT_TMP"/independent.*
    guest_wait_more_acked m1 10 5
done

is "the raw disk says why it was scanned" \
    "$(jq -r '.recovery_point.disks[] | select(.name == "vdb").demotion_cause' <<<"$result")" \
    format-without-bitmaps
is "no error reached the guest" "$(guest_console m1 | grep -c '^error' || true)" 0
is "one checkpoint is left on the host" "$(virsh checkpoint-list m1 --name | grep -c .)" 1
is "no job is left on the host" "$(virsh domjobinfo m1 | grep -c 'Job type: *None')" 1
is "no scratch file is left" "$(find "$KIT_TMP" -maxdepth 1 -name '*landfall*' | wc -l)" 0

# Stock tools on the store alone.
for n in $(seq $cycles); do
    for disk in vda vdb; do
        layer=$store/$uuid/disks/$disk/$(jq -r --arg d $disk \
            '.disks[] | select(.name == $d).layer' "$store/$uuid/recovery-points/$(printf %06d "$n").json")
        case $layer in
        *.qcow2) ok "recovery point $n: $disk: qemu-img check" qemu-img check -q "$layer" ;;
        esac
        ok "recovery point $n: $disk: qemu-img compare" qemu-img compare -q "$layer" "$KIT_TMP/$n.$disk"
    done
done
ok "every recovery point is proven" landfall store verify "$store" m1 --all

# Retention keeps what it keeps as it was.
run landfall cycle --host qemu:///system --machine m1 --store "$store" --retain 3 --json
is "a cycle with retention succeeds" "$status" 0
is "three recovery points are left" "$(landfall store list "$store" m1 --json | jq -c '[.recovery_points[].number]')" \
    "[$((cycles - 1)),$cycles,$((cycles + 1))]"
for n in $((cycles - 1)) $cycles; do
    for disk in vda vdb; do
        landfall store export "$store" m1 --recovery-point $n --disk $disk "$KIT_TMP/again.$disk" --force
        ok "recovery point $n: $disk after the merge" cmp "$KIT_TMP/again.$disk" "$KIT_TMP/$n.$disk"
    done
done
ok "they are proven" landfall store verify "$store" m1 --all
done_testing
