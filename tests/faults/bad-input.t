#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Stores and sources that are not what they should be: each is told from what is right by name and
# with advice, and nothing is written, moved or lost, whatever was wrong.

. "$(dirname "$0")/../replicator/cycles.sh"
requires qemu-nbd

disk=$KIT_TMP/vda.raw
truncate -s 4M "$disk"
random_bytes "$disk" 0 $((1 << 20))
start_nbdkit "$KIT_TMP/vda.sock" file "$disk"
vda=(--disk "vda=$KIT_URI")
uri=$KIT_URI

commits "first" "${vda[@]}"
for i in 1 2 3; do
    random_bytes "$disk" $((i * 65536)) 131072
    commits "delta $i" "${vda[@]}"
done
# One more change of the map that is not applied yet, as after a kill between commit and settling.
cp -a "$STORE/m1/disks/vda/block-map" "$KIT_TMP/old-map"
random_bytes "$disk" $((3 << 20)) 65536
commits "delta 4" "${vda[@]}"
good=$STORE
random_bytes "$disk" 0 65536 # what every refused cycle would have to write

# is_refused STATUS CODE MESSAGE [ARGUMENT…]: the cycle is, and the store stays as it was.
is_refused() {
    local before expected=("${@:1:3}")
    shift 3
    before=$(listing)
    cycle "${vda[@]}" "$@"
    refused "$name" "${expected[@]}"
    is "$name: nothing was written" "$(listing)" "$before"
}

put() { # FILE OFFSET BYTE
    # shellcheck disable=SC2059
    printf "\\x$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

spoiled "the copy itself"
ok "is good: the tool above is sharp" landfall-replicate --store "$STORE" --machine m1 "${vda[@]}"

# --- what is asked for --------------------------------------------------------------------------

for arguments in "vda=what|config|'what' is not an NBD URI" \
    "vda=http://x/|config|'http://x/' is not an NBD URI" \
    "vda|config|vda" \
    "../vda=$uri|config|'\.\./vda'" \
    ".vda=$uri|config|'\.vda'" \
    "v a=$uri|config|'v a'"; do
    IFS='|' read -r argument code message <<<"$arguments"
    spoiled "--disk '$argument'"
    before=$(listing)
    cycle --disk "$argument"
    is "$name: status and code" "$status $(event error .code)" "2 $code"
    like "$name: message" "$(event error .message)" "$message"
    is "$name: nothing was written" "$(listing)" "$before"
done
for key in ../m1 .m1 m1/../m2 "m 1" "" /tmp; do
    MACHINE=$key
    spoiled "--machine '$key'"
    is_refused 2 config "'$key' cannot be the name of a machine"
done
MACHINE=m1
for arguments in "--bandwidth -1" "--retain -1" "--retain x" "--audit-blocks -2" "--no-such-option" \
    "argument" "--bitmap vdb=bm0" "--consistency none"; do
    spoiled "$arguments"
    before=$(listing)
    # shellcheck disable=SC2086  # several words
    cycle "${vda[@]}" $arguments
    is "$name: status and code" "$status $(event error .code)" "2 config"
    is "$name: nothing was written" "$(listing)" "$before"
done

# --- where the store should be ------------------------------------------------------------------

STORE=$KIT_TMP/a-file
echo text >"$STORE"
name="a file"
is_refused 2 config "$STORE is not a folder"
STORE=$KIT_TMP/a-home
mkdir "$STORE"
echo text >"$STORE/letter"
name="somebody's folder"
is_refused 2 config "$STORE is not a Landfall store and not empty"
STORE=$KIT_TMP/no/such/folder
cycle "${vda[@]}"
refused "no folder above" 1 replica "cannot create the folder $STORE"
mkdir "$KIT_TMP/new" "$KIT_TMP/new/lost+found"
STORE=$KIT_TMP/new
commits "a fresh file system is a store" "${vda[@]}"

# --- files of the store -------------------------------------------------------------------------

spoiled "store.json: a later version"
sed -i 's/"version" *: *2/"version" : 3/' "$STORE/store.json"
is_refused 1 unsupported "store file $STORE/store.json: .*version 3, this program knows 2"
spoiled "store.json: an earlier version"
sed -i 's/"version" *: *2/"version" : 1/' "$STORE/store.json"
is_refused 1 unsupported "store file $STORE/store.json: .*version 1, this program knows 2"
spoiled "store.json: cut short"
truncate -s 20 "$STORE/store.json"
is_refused 1 corrupt "$STORE/store.json"

for place in first middle last; do
    spoiled "manifest: $place byte flipped"
    length=$(stat -c %s "$points/000003.json")
    case $place in first) at=0 ;; middle) at=$((length / 2)) ;; last) at=$((length - 1)) ;; esac
    flip "$points/000003.json" $at
    is_refused 1 corrupt "manifest $points/000003.json: "
done
spoiled "manifest: empty"
: >"$points/000002.json"
is_refused 1 corrupt "manifest $points/000002.json: "
spoiled "manifest: a later version"
sed -i 's/"version" *: *1/"version" : 2/' "$points/000002.json"
is_refused 1 unsupported "manifest $points/000002.json: .*version 2"
spoiled "manifest: under another number"
mv "$points/000005.json" "$points/000009.json"
is_refused 1 corrupt "manifest $points/000009.json is that of recovery point 5"
spoiled "manifest: of another machine"
mv "$STORE/m1" "$STORE/m2"
MACHINE=m2
is_refused 1 corrupt "manifest $STORE/m2/recovery-points/.* of machine m1"
MACHINE=m1

spoiled "layer: missing"
rm "$disks/000003.qcow2"
is_refused 1 corrupt "layer $disks/000003.qcow2 .*missing"
spoiled "layer: cut short"
truncate -s -65536 "$disks/000003.qcow2"
is_refused 1 corrupt "layer $disks/000003.qcow2 .*size"
spoiled "layer: too long"
truncate -s +1 "$disks/000002.qcow2"
is_refused 1 corrupt "layer $disks/000002.qcow2 .*size"
spoiled "layer: a later version"
put "$disks/000003.qcow2" 7 04
is_refused 1 unsupported "layer $disks/000003.qcow2"
spoiled "layer: a feature it cannot have"
put "$disks/000004.qcow2" 79 04
is_refused 1 unsupported "layer $disks/000004.qcow2"
spoiled "layer: no qcow2"
put "$disks/000004.qcow2" 0 00
is_refused 1 corrupt "layer $disks/000004.qcow2"
# The name of the file below stands at byte 128 of the header's sector.
for below in 000004.qcow2 ../003.qcow2 ..//////etc/x lock.qcow2.. block-map base.raw; do
    spoiled "layer: stands on $below"
    printf %s "$below" | dd of="$disks/000004.qcow2" bs=1 seek=128 conv=notrunc status=none
    is_refused 1 corrupt "layer $disks/000004.qcow2"
done
spoiled "layer: rebased by another tool"
(cd "$disks" && qemu-img rebase -u -f qcow2 -F qcow2 -b 000002.qcow2 000004.qcow2)
is_refused 1 unsupported "layer $disks/000004.qcow2 uses qcow2 features"
spoiled "disk: folder missing"
rm -r "$disks"
is_refused 1 corrupt "layer $disks/.* is missing"
spoiled "disk: folder missing, a cycle of another disk"
mv "$disks" "$STORE/m1/disks/vdc"
before=$(listing)
cycle --disk "vdb=$uri"
refused "$name" 1 corrupt "layer $disks/.* is missing"
is "$name: nothing was written" "$(listing)" "$before"
spoiled "base: missing"
rm "$disks/base.raw"
is_refused 1 corrupt "$disks/base.raw .*missing"
spoiled "base: cut short"
truncate -s -512 "$disks/base.raw"
is_refused 1 corrupt "$disks/base.raw .*size"

spoiled "block map: missing"
rm "$disks/block-map"
is_refused 1 corrupt "block map $disks/block-map"
spoiled "block map: wrong size"
truncate -s +4096 "$disks/block-map"
is_refused 1 corrupt "block map $disks/block-map has [0-9]+ bytes"
spoiled "block map: cut short"
truncate -s 20 "$disks/block-map"
is_refused 1 corrupt "block map.* $disks/block-map"
spoiled "block map: a later version"
put "$disks/block-map" 8 02
is_refused 1 unsupported "block map $disks/block-map has version 2"
spoiled "block map: header flipped"
flip "$disks/block-map" 16
is_refused 1 corrupt "block map $disks/block-map: the header is damaged"
spoiled "block map: page hash flipped"
flip "$disks/block-map" 4096
is_refused 1 corrupt "block map $disks/block-map does not belong to"
spoiled "block map: of an earlier recovery point, journal gone"
cp -a "$KIT_TMP/old-map" "$disks/block-map"
rm "$disks/000005.journal"
is_refused 1 corrupt "block map $disks/block-map does not belong to"
for damage in "flip 60|corrupt|checksum" "cut|corrupt|size" "version|unsupported|version 2" \
    "other|corrupt|recovery point 4"; do
    IFS='|' read -r how code message <<<"$damage"
    spoiled "journal to be applied: $how"
    cp -a "$KIT_TMP/old-map" "$disks/block-map"
    case $how in
    flip*) flip "$disks/000005.journal" 60 ;;
    cut) truncate -s -1 "$disks/000005.journal" ;;
    version) put "$disks/000005.journal" 8 02 ;;
    other) cp -a "$disks/000004.journal" "$disks/000005.journal" ;;
    esac
    is_refused 1 "$code" "map journal $disks/000005.journal.*$message"
done
spoiled "journal to be applied: good"
cp -a "$KIT_TMP/old-map" "$disks/block-map"
ok "$name: the tool above is sharp" landfall-replicate --store "$STORE" --machine m1 "${vda[@]}"
ok "$name: the copy" point_is 6 vda "$disk"

# An operator's own files beside ours are nobody's business.
spoiled "files of others"
touch "$STORE/README" "$STORE/m1/notes" "$disks/notes.txt" "$STORE/m1/disks/notes" "$points/notes"
commits "$name" "${vda[@]}"
is "$name: are still there" "$(find "$STORE" \( -name 'notes*' -o -name README \) | wc -l)" 5

# --- sources ------------------------------------------------------------------------------------

STORE=$good
for size in 0 511 513; do
    name="a source of $size bytes"
    rm -f "$KIT_TMP/odd.sock"
    start_nbdkit "$KIT_TMP/odd.sock" --filter=truncate null 1M truncate=$size
    before=$(listing)
    cycle --disk "vda=$KIT_URI"
    refused "$name" 1 unsupported "has $size bytes"
    is "$name: nothing was written" "$(listing)" "$before"
    stop_process "$KIT_PID"
done
name="a source of 65 TiB"
rm -f "$KIT_TMP/odd.sock"
start_nbdkit "$KIT_TMP/odd.sock" null 65T
before=$(listing)
cycle --disk "vda=$KIT_URI"
refused "$name" 1 unsupported "has 71468255805440 bytes"
is "$name: nothing was written" "$(listing)" "$before"
commits "the good store takes a cycle" "${vda[@]}"
ok "and is right" point_is 6 vda "$disk"
done_testing
