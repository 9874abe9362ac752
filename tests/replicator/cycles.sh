# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of cycles share: sources that change, cycles into a store, and the proof that each
# recovery point is the copy of its source that was taken beside it. The proof uses qemu-img and jq
# alone: what an operator has who lost the appliance.

. "$(dirname "${BASH_SOURCE[0]}")/../kit/kit.sh"
requires jq qemu-img nbdkit

STORE=$KIT_TMP/store
MACHINE=m1
COPIES=$KIT_TMP/copies
EVENTS=$KIT_TMP/events
mkdir "$COPIES"

# cycle ARGUMENT…: one cycle of $MACHINE into $STORE. Never fails; leaves $status, and what it
# said in $EVENTS.
cycle() {
    status=0
    landfall-replicate --store "$STORE" --machine "$MACHINE" "$@" >"$EVENTS" 2>"$EVENTS.stderr" ||
        status=$?
}

# begin_cycle ARGUMENT…: the same in the background; $child is its process. end_cycle waits for it;
# $took_ms is how long that took.
begin_cycle() {
    : >"$EVENTS"
    landfall-replicate --store "$STORE" --machine "$MACHINE" "$@" >"$EVENTS" 2>"$EVENTS.stderr" &
    child=$!
}

end_cycle() {
    local begun
    begun=$(kit_now)
    status=0
    wait "$child" || status=$?
    took_ms=$((($(kit_now) - begun) / 1000))
}

# event NAME FILTER: the filter's value for the last event of that name, "" when there is none.
event() {
    jq -rs "map(select(.event == \"$1\")) | last | if . == null then \"\" else ($2) end" "$EVENTS"
}

# figure DISK MEMBER: of the result of the last cycle.
figure() {
    event result ".recovery_point.disks[] | select(.name == \"$1\") | .$2 // \"\""
}

# commits NAME ARGUMENT…: a cycle that has to succeed without a word on standard error.
commits() {
    local name=$1
    shift
    cycle "$@"
    if [ "$status" -eq 0 ] && [ -n "$(event result .event)" ] && [ ! -s "$EVENTS.stderr" ]; then
        pass "$name"
    else
        fail "$name"
        diag "exit status $status from: $*"
        tail -n 5 "$EVENTS" "$EVENTS.stderr" | diag
    fi
}

# refused NAME STATUS CODE MESSAGE: the last cycle ended so, and told what to do.
refused() {
    is "$1: status" "$status" "$2"
    is "$1: code" "$(event error .code)" "$3"
    like "$1: message" "$(event error .message)" "$4"
    like "$1: hint" "$(event error .hint)" "[a-z]{3}"
    is "$1: standard error" "$(cat "$EVENTS.stderr")" ""
}

# --- sources ------------------------------------------------------------------------------------

# random_bytes FILE OFFSET LENGTH (bytes, whole sectors): content that is nowhere else.
random_bytes() {
    dd if=/dev/urandom of="$1" bs=512 seek=$(($2 / 512)) count=$(($3 / 512)) iflag=fullblock \
        conv=notrunc status=none
}

zero_bytes() {
    dd if=/dev/zero of="$1" bs=512 seek=$(($2 / 512)) count=$(($3 / 512)) conv=notrunc status=none
}

discard_bytes() {
    fallocate --punch-hole --offset "$2" --length "$3" "$1"
}

# keep_copy NUMBER DISK FILE: what recovery point NUMBER has to hold.
keep_copy() {
    mkdir -p "$COPIES/$1"
    cp --sparse=always "$3" "$COPIES/$1/$2"
}

# --- the store ----------------------------------------------------------------------------------

manifest() {
    printf '%s/%s/recovery-points/%06d.json' "$STORE" "$MACHINE" "$1"
}

# recovery_points: their numbers, in order.
recovery_points() {
    local path numbers=()
    for path in "$STORE/$MACHINE"/recovery-points/*.json; do
        path=${path##*/}
        [ "$path" = '*.json' ] || numbers+=("$((10#${path%.json}))")
    done
    echo "${numbers[*]}"
}

layer_format() {
    case $1 in *.raw) echo raw ;; *) echo qcow2 ;; esac
}

# point_is NUMBER DISK COPY: the recovery point opens, is sound and is that copy.
point_is() {
    local layer path format
    layer=$(jq -er ".disks[] | select(.name == \"$2\") | .layer" "$(manifest "$1")") || return 1
    path=$STORE/$MACHINE/disks/$2/$layer
    format=$(layer_format "$layer")
    [ "$format" = raw ] || qemu-img check -q -f "$format" "$path" || return 1
    point_reads_as "$path" "$3"
}

# point_reads_as LAYER COPY: the same without looking at the soundness of the layer's tables.
point_reads_as() {
    # Without -q it also says when one is longer and zero there, which is no success here.
    local output
    output=$(qemu-img compare -f "$(layer_format "$1")" -F raw "$1" "$2" 2>&1) || {
        echo "$1: $output"
        return 1
    }
    [ "$output" = "Images are identical." ] || { echo "$1: $output" && return 1; }
}

# all_points_are_copies NUMBER…: these recovery points are there, no other, and each is its copies.
all_points_are_copies() {
    local number copy
    [ "$(recovery_points)" = "$*" ] || { echo "recovery points: $(recovery_points)" && return 1; }
    for number; do
        [ "$(jq '.disks | length' "$(manifest "$number")")" -eq \
            "$(find "$COPIES/$number" -type f | wc -l)" ] || return 1
        for copy in "$COPIES/$number"/*; do
            point_is "$number" "${copy##*/}" "$copy" || {
                echo "recovery point $number, disk ${copy##*/}: not the copy" && return 1
            }
        done
    done
}

# leftovers: what is in the machine's folder and in no manifest's chain. Journals of the layers
# kept belong to them; the base stays even when only layers are named.
leftovers() {
    local disk name
    find "$STORE/$MACHINE" -name '*.tmp'
    find "$STORE/$MACHINE/recovery-points" -name '*.pin' | while read -r name; do
        [ -e "${name%.pin}" ] || echo "$name"
    done
    for disk in "$STORE/$MACHINE"/disks/*; do
        {
            echo "$disk/base.raw"
            echo "$disk/block-map"
            jq -r ".disks[] | select(.name == \"${disk##*/}\") | .layer" \
                "$STORE/$MACHINE"/recovery-points/*.json | sort -u |
                while read -r name; do
                    qemu-img info -f "$(layer_format "$name")" --backing-chain --output=json \
                        "$disk/$name" | jq -r '.[].filename'
                done
        } | sort -u >"$KIT_TMP/named"
        sed -n 's/\.qcow2$/.journal/p' "$KIT_TMP/named" >>"$KIT_TMP/named"
        find "$disk" -type f | grep -vxFf "$KIT_TMP/named" || true
    done
}

# spoiled NAME: a fresh copy of the store in $good, to spoil.
spoiled() {
    name=$1
    STORE=$KIT_TMP/spoiled
    rm -rf "$STORE"
    cp -a "$good" "$STORE"
    disks=$STORE/m1/disks/vda
    points=$STORE/m1/recovery-points
}

# listing: all there is of the store, in a form that any write changes; the lock's text apart.
listing() {
    find "$STORE" ! -name lock -printf '%P %y %s %T@ %i\n' | sort
    find "$STORE" -type f ! -name lock -size -64M -exec md5sum {} + | sort -k 2
}
