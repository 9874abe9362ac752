#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# landfall store verify --all finds a single flipped bit in any file of a store, wherever in the
# file it is, and names the block or the file. Seeded: LANDFALL_SEED repeats a run.

. "$(dirname "$0")/cycles.sh"
requires perl

seed=${LANDFALL_SEED:-$(($(date +%s) % 1000000))}
diag "LANDFALL_SEED=$seed"
flips=${LANDFALL_LONG:+400}
flips=${flips:-16}

MIB=$((1 << 20))
disk=$KIT_TMP/vda.raw
other=$KIT_TMP/vdb.raw
truncate -s $((20 * MIB + 512)) "$disk"
truncate -s $((3 * MIB)) "$other"
random_bytes "$disk" 0 $((MIB / 2))
random_bytes "$disk" $((20 * MIB)) 512
random_bytes "$other" 0 65536
start_nbdkit "$KIT_TMP/vda.sock" file "$disk"
vda=$KIT_URI
start_nbdkit "$KIT_TMP/vdb.sock" file "$other"
disks=(--disk "vda=$vda" --disk "vdb=$KIT_URI")
commits "first" "${disks[@]}"
random_bytes "$disk" $((2 * 65536 + 4096)) 512
random_bytes "$disk" $((17 * MIB)) 131072
zero_bytes "$disk" 65536 65536
random_bytes "$disk" $((20 * MIB)) 512
commits "second" "${disks[@]}"
random_bytes "$disk" $((2 * 65536)) 65536
random_bytes "$other" $((MIB * 2)) 65536
truncate -s $((41 * MIB + 1024)) "$disk"
random_bytes "$disk" $((41 * MIB)) 1024
commits "third" "${disks[@]}"
cp -a "$STORE/m1/disks/vda/block-map" "$KIT_TMP/old-map"
random_bytes "$disk" $((3 * 65536)) 65536
truncate -s $((19 * MIB)) "$disk"
ok "fourth" landfall cycle --store "$STORE" --machine m1 "${disks[@]}"

ok "the store is proven" landfall store verify "$STORE" m1 --all
cp -a "$STORE" "$KIT_TMP/before"
mapfile -t files < <(cd "$STORE" && find . -type f -size +0 -printf '%P\n' | sort)
ok "there is one of each kind" [ ${#files[@]} -ge 20 ]
for file in "${files[@]}"; do
    ok "each flipped bit of $file is found" \
        perl tests/replicator/flip-bits.pl "$STORE" m1 "$file" "$flips" "$seed"
done
ok "the store is as before" diff -r "$STORE" "$KIT_TMP/before"
ok "the store is proven again" landfall store verify "$STORE" m1 --all

# A journal that waits, as after a kill behind the commit: the map may have none, some or all of it.
map=$STORE/m1/disks/vda/block-map
cp -a "$map" "$KIT_TMP/new-map"
cp "$KIT_TMP/old-map" "$map"
ok "proven while a journal waits" landfall store verify "$STORE" m1 --all
entries=$((4096 + (64 << 20)))
dd if="$KIT_TMP/new-map" of="$map" bs=4096 skip=$((entries / 4096)) seek=$((entries / 4096)) count=1 \
    conv=notrunc status=none
ok "proven while a journal is half applied" landfall store verify "$STORE" m1 --all
done_testing
