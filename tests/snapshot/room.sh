# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of the snapshot room share: snapshot-hold in the background, answering word by
# word, and the host's state as text, to compare before and after.

# shellcheck source=tests/kit/guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/../kit/guest.sh"
requires jq nbdinfo

room_tool=$KIT_BUILD/tests/snapshot/snapshot-hold
[ -x "$room_tool" ] || die "no $room_tool: run make"
room_images=$KIT_TMP/images
mkdir "$room_images"
# QEMU's user makes no files here: libvirt does it for him.
chmod 711 "$room_images"

# room COMMAND ARGUMENTS…: leaves $status and $answer, one JSON line.
room() {
    local command=$1
    shift
    status=0
    answer=$("$room_tool" "$command" --host "$LIBVIRT_DEFAULT_URI" "$@") || status=$?
}

# field JQ-FILTER: of the last answer.
field() {
    jq -r "$1" <<<"$answer"
}

room_has_line() {
    [ "$(wc -l <"$KIT_TMP/hold.out")" -ge "$1" ] || process_is_gone "$hold_pid"
}

room_read_answer() {
    hold_lines=$((hold_lines + 1))
    wait_for 60 room_has_line "$hold_lines"
    answer=$(sed -n "${hold_lines}p" "$KIT_TMP/hold.out")
}

# hold ARGUMENTS…: takes a snapshot and keeps it; $answer describes it, $hold_pid is the program.
hold() {
    rm -f "$KIT_TMP/hold.in"
    mkfifo "$KIT_TMP/hold.in"
    : >"$KIT_TMP/hold.out"
    "$room_tool" hold --host "$LIBVIRT_DEFAULT_URI" "$@" <"$KIT_TMP/hold.in" >"$KIT_TMP/hold.out" &
    hold_pid=$!
    hold_lines=0
    exec {hold_in}>"$KIT_TMP/hold.in"
    room_read_answer
}

# hold_say WORD: end, commit or abort; $answer is what came of it.
hold_say() {
    echo "$1" >&"$hold_in"
    room_read_answer
}

# hold_done: the program ends by itself; leaves $status. Other processes may have inherited the pipe,
# so closing it would not be enough.
hold_done() {
    if ! process_is_gone "$hold_pid"; then
        echo free >&"$hold_in" || true
    fi
    exec {hold_in}>&-
    status=0
    wait "$hold_pid" || status=$?
}

hold_kill() {
    kill -s KILL "$hold_pid"
    hold_done
}

# cycle WORD ARGUMENTS…: a snapshot, taken and ended with the word; $taken describes it.
cycle() {
    local word=$1
    shift
    hold "$@"
    taken=$answer
    hold_say "$word"
    hold_done
}

# dirty DISK: the extents its bitmap names, as "offset+length" in KiB.
dirty() {
    nbdinfo --map="$(field ".disks.$1.bitmap")" "$(field ".disks.$1.uri")" |
        awk '$3 == 1 { printf "%s%d+%d", sep, $1 / 1024, $2 / 1024; sep = " " }'
}

checkpoints() {
    virsh -q checkpoint-list "$1" --name | grep . | sort | tr '\n' ' ' || true
}

# The dirty bitmaps QEMU has, by image and name.
bitmaps() {
    virsh -q qemu-monitor-command "$1" '{"execute":"query-named-block-nodes"}' |
        jq -r '.return[] | select(.["dirty-bitmaps"]) | . as $n | .["dirty-bitmaps"][] |
            "\($n.file | sub(".*/"; "")) \(.name)"' | sort -u
}

our_files() {
    find "$KIT_TMP" /var/lib/libvirt /run/libvirt -name '*landfall*' ! -path '*/checkpoint/*'
}

# All that a snapshot could leave behind, as text.
host_state() {
    virsh -q list --all --name | sort
    for machine in $(virsh -q list --all --name); do
        virsh -q domstate "$machine"
        virsh -q domblklist "$machine" --details
        virsh dumpxml --inactive "$machine" | grep -v '<metadata/>'
        virsh dumpxml "$machine" | grep landfall: || true
        virsh -q domjobinfo "$machine" 2>&1 | grep 'Job type' || true
        checkpoints "$machine"
        [ "$(virsh -q domstate "$machine" | head -n 1)" != running ] || bitmaps "$machine"
    done
    our_files
}
