#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# landfall store verify proves what is whole and names what is not: the recovery points, the disk,
# the very block; and a lost block map is made anew from a proven replica.

. "$(dirname "$0")/cycles.sh"

disk=$KIT_TMP/vda.raw
MIB=$((1 << 20))
truncate -s $((40 * MIB + 512)) "$disk"
random_bytes "$disk" 0 $((4 * MIB))
random_bytes "$disk" $((40 * MIB)) 512
start_nbdkit "$KIT_TMP/vda.sock" file "$disk"
vda=(--disk "vda=$KIT_URI")
keep_copy 1 vda "$disk"
commits "first" "${vda[@]}"
for number in 2 3 4; do
    random_bytes "$disk" $((number * 65536)) 65536
    random_bytes "$disk" $((20 * MIB)) 65536
    zero_bytes "$disk" $((2 * MIB + number * 65536)) 65536
    [ $number -ne 3 ] || truncate -s $((41 * MIB)) "$disk"
    keep_copy $number vda "$disk"
    commits "delta $number" "${vda[@]}"
done
good=$STORE

# proves NUMBER / damaged NUMBER BLOCK…: what verify says of a recovery point.
verify() {
    status=0
    landfall store verify "$STORE" m1 --recovery-point "$1" --json >"$KIT_TMP/verify" \
        2>"$KIT_TMP/verify.stderr" || status=$?
}
proves() {
    verify "$1"
    is "$name: $1 is proven" "$status $(jq -cs '.[0].disks[0] | [.proven, .fault_count]' "$KIT_TMP/verify")" \
        '0 [true,0]'
}
damaged() {
    verify "$1"
    is "$name: $1 is damaged" \
        "$status $(jq -cs '.[0].disks[0] | [.proven, .faulty_blocks]' "$KIT_TMP/verify")" \
        "1 [false,[$2]]"
}

spoil_byte() { # FILE OFFSET
    random_bytes "$KIT_TMP/sector" 0 512
    dd if="$KIT_TMP/sector" of="$1" bs=1 seek="$2" count=16 conv=notrunc status=none
}

# cluster LAYER BLOCK: where the layer has the block, as QEMU says.
cluster() {
    qemu-img map -f qcow2 --output=json "$disks/$1" |
        jq "map(select(.depth == 0 and .data and .start <= $2 * 65536 and .start + .length > $2 * 65536)) |
            .[0] | .offset + $2 * 65536 - .start"
}

spoiled "good store"
before=$(listing)
for number in 1 2 3 4; do proves $number; done
is "$name: verify changes nothing; pins stay" \
    "$(listing | grep -v -e '\.pin ' -e 'm1/recovery-points d ' -e '\.pin$')" \
    "$(grep -v 'm1/recovery-points d ' <<<"$before")"
ok "$name: all at once" landfall store verify "$STORE" m1 --all

spoiled "a byte of the base"
spoil_byte "$disks/base.raw" $((10 * 65536 + 100))
for number in 1 2 3 4; do damaged $number 10; done

spoiled "a byte of the base that a layer hides"
spoil_byte "$disks/base.raw" $((2 * 65536 + 100))
damaged 1 2
for number in 2 3 4; do proves $number; done

spoiled "a byte of a layer that the next hides"
spoil_byte "$disks/000002.qcow2" $(($(cluster 000002.qcow2 320) + 70))
damaged 2 320
for number in 1 3 4; do proves $number; done

spoiled "a byte of a layer"
spoil_byte "$disks/000003.qcow2" $(($(cluster 000003.qcow2 3) + 65000))
for number in 1 2; do proves $number; done
for number in 3 4; do damaged $number 3; done
fails "$name: all at once" landfall store verify "$STORE" m1 --all

spoiled "a byte in the short last block"
spoil_byte "$disks/base.raw" $((40 * MIB + 300))
for number in 1 2; do damaged $number 640; done

# --- the block map ------------------------------------------------------------------------------

for how in missing header entry page; do
    spoiled "block map: $how"
    case $how in
    missing) rm "$disks/block-map" ;;
    header) spoil_byte "$disks/block-map" 20 ;;
    entry) spoil_byte "$disks/block-map" $((4096 + (64 << 20) + 16 * 320)) ;;
    page) spoil_byte "$disks/block-map" $((4096 + 16)) ;;
    esac
    verify 4
    is "$name: verify fails, the replica is proven" \
        "$status $(jq -cs '.[0].disks[0].proven' "$KIT_TMP/verify")" "1 true"
    like "$name: is said" "$(jq -rs '.[0].disks[0].block_map_problem' "$KIT_TMP/verify")" "map|hash"
    ok "$name: rebuilt" landfall store verify "$STORE" m1 --rebuild-block-map
    cmp "$disks/block-map" "$good/m1/disks/vda/block-map" >"$KIT_TMP/cmp" 2>&1 || true
    is "$name: as it was" "$(cat "$KIT_TMP/cmp")" ""
    for number in 1 2 3 4; do proves $number; done
    commits "$name: a cycle goes on" "${vda[@]}"
    is "$name: nothing is sent" "$(figure vda sent_bytes)" 0
done
spoiled "no map from a damaged replica"
spoil_byte "$disks/base.raw" $((10 * 65536 + 100))
rm "$disks/block-map"
fails "$name" landfall store verify "$STORE" m1 --rebuild-block-map
ok "$name: none is left" test ! -e "$disks/block-map" -a ! -e "$disks/block-map.tmp"

# --- export -------------------------------------------------------------------------------------

STORE=$good
for number in 1 2 3 4; do
    ok "recovery point $number is exported" landfall store export "$STORE" m1 \
        --recovery-point $number --disk vda --format raw "$KIT_TMP/export.$number"
    ok "recovery point $number: the copy" cmp "$KIT_TMP/export.$number" "$COPIES/$number/vda"
done
done_testing
