#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is killed before, in the midst of and after the steps of moves, tests and what ends them.
# The next daemon goes on or goes back: the machine never runs twice, and is never left without a stated
# state; and the same command again succeeds. A few kills, chosen by a seed; LANDFALL_LONG=1: every step.
# The machines here have no system on them: QEMU answers like any other, and costs little.
. "$(dirname "$0")/failover.sh"
. "$(dirname "$0")/killed.sh"

seed=${LANDFALL_SEED:-$((EPOCHSECONDS % 32768))}
diag "LANDFALL_SEED=$seed"
RANDOM=$seed
chosen=2
[ -z "${LANDFALL_LONG:-}" ] || chosen=1000

# --- kills ----------------------------------------------------------------------------------------

# commands_of MACHINE
commands_of() {
    machine=$1
    migrate=(migrate "$machine" --target there --on-deadline force --shutdown-deadline 1s --probe power=1
        --yes --follow)
    test=(test-migrate "$machine" --target there --probe power=1 --follow)
    cleanup=(test-cleanup "$machine" --follow)
    rollback=(rollback "$machine" --deadline 1s --yes --follow)
}
commands_of $machine

# Which steps an operation has: by doing it once. Leaves them in the array steps.
steps_of() {
    : >"$KIT_TMP/steps"
    command_line "$@" >"$KIT_TMP/log" 2>&1 || { diag "$(<"$KIT_TMP/log")" && return 1; }
    mapfile -t steps < <(grep -v '^cycle$' "$KIT_TMP/steps" | awk '!seen[$0]++')
}

# some ARRAY-OF-STEPS…: pairs "STEP INSTANT", as many as were chosen.
some() {
    local pairs=() step
    for step; do
        pairs+=("$step before" "$step midst" "$step after")
    done
    while [ "${#pairs[@]}" -gt "$chosen" ]; do
        unset "pairs[RANDOM % ${#pairs[@]}]"
        pairs=("${pairs[@]}")
    done
    printf '%s\n' "${pairs[@]}"
}

# The machine is where it was before the move, and runs.
at_home() {
    [ "$(power here)/$(power there)" = "running/none" ]
}
has_moved() {
    [ "$(power here)/$(power there)" = "shut off/running" ]
}

# go_home: whatever became of it.
go_home() {
    at_home || command_line "${rollback[@]}" >"$KIT_TMP/log" 2>&1 || diag "$(<"$KIT_TMP/log")"
    ok "$1: home again" at_home
}

# What there is of a move that was completed is one machine, which runs there and holds all that was
# written; here its disks and definition stay, off, fenced, and without anything of the replication.
# is_complete NAME merge|keep OFFSET-OF-BYTE-1…
is_complete() {
    local name=$1 disks=$2 byte=0 offset image definition
    shift 2
    is "$name: it is complete, and so is the move" "$(operation .state complete) $(operation .state migrate)" "done done"
    ok "$name: it runs there, and not here" has_moved
    image=$(image_there)
    for offset; do
        byte=$((byte + 1))
        ok "$name: what was written at $offset is there" holds $byte "$image" "$offset"
    done
    is "$name: on its disk ($disks)" "${image##*.}" "$([ "$disks" = merge ] && echo raw || echo qcow2)"
    is "$name: there is neither lease nor pin" \
        "$(find "$store/$uuid" -name lease.json -o -path '*/pins/*.json')" ""
    [ "$disks" = keep ] || is "$name: nor any file but the disk" \
        "$(cd "$store/$uuid" && find disks clones -type f 2>/dev/null)" disks/vda/base.raw
    definition=$(virsh dumpxml --inactive "$machine")
    like "$name: here it is fenced" "$definition" 'urn:landfall:fence'
    unlike "$name: and does not start with its host" "$(virsh dominfo "$machine")" 'Autostart: +enable'
    is "$name: no checkpoint, no bitmap" "$(virsh -q checkpoint-list "$machine" --name | xargs)$(
        qemu-img info --output json "$KIT_TMP/$machine.qcow2" | jq -c '."format-specific".data.bitmaps // ""')" '""'
    is "$name: nor any file" "$(find /var/lib/libvirt -path "*landfall*" -path "*$uuid*")" ""
    there virsh -q destroy "$machine" >/dev/null
    ok "$name: it starts again there" there virsh -q start "$machine"
    is "$name: and is not replicated any more" "$(state_of "here/$machine")" discovered
    there virsh -q destroy "$machine" >/dev/null
    there virsh -q undefine "$machine" --nvram >/dev/null
}

# completed DISKS STEP INSTANT: of a machine of its own, since there is no way back.
completed() {
    local name="complete ($1), killed $3 $2" uuid
    rounds=$((rounds + 1))
    commands_of "c$rounds"
    define_empty "$machine"
    uuid=$(virsh -q domuuid "$machine" | grep .)
    wait_for 30 command_line replicate "$machine" --store main --interval 1h >/dev/null 2>&1
    wait_for $patience has_point "$machine"
    tiny_write 1 1M
    ok "$name: a move" command_line "${migrate[@]}"
    there tiny_write 2 2M
    there tiny_write 3 5M
    : >"$KIT_TMP/steps"
    killed complete "$2" "$3" complete "$machine" --disks "$1" --yes --follow
    is "$name: its steps" "$(awk '!seen[$0]++' "$KIT_TMP/steps" | xargs)" "${complete_steps[*]}"
    there tiny_write 4 7M
    is_complete "$name" "$1" 1M 2M 5M 7M
}

# --- the show -------------------------------------------------------------------------------------

two_hosts
define_empty $machine
replicated $machine
tiny_write 1
ok "a move and a way back, for their steps" steps_of "${migrate[@]}"
migrate_steps=("${steps[@]}")
ok "back" steps_of "${rollback[@]}"
rollback_steps=("${steps[@]}")
ok "a test" steps_of "${test[@]}"
test_steps=("${steps[@]}")
ok "its end" steps_of "${cleanup[@]}"
cleanup_steps=("${steps[@]}")
diag "migrate: ${migrate_steps[*]}; rollback: ${rollback_steps[*]}"
diag "test: ${test_steps[*]}; test-cleanup: ${cleanup_steps[*]}"
host_looks "$KIT_TMP/looked"
byte=1

while read -r step instant; do
    name="migrate, killed $instant $step"
    byte=$((byte % 250 + 1))
    tiny_write $byte
    killed migrate "$step" "$instant" "${migrate[@]}"
    has_moved || ok "$name: it runs somewhere" at_home
    has_moved || ok "$name: the same command again" command_line "${migrate[@]}"
    ok "$name: it has moved" has_moved
    ok "$name: with what was written last" holds $byte "$(image_there)"
    go_home "$name"
    ok "$name: and here it is as it was" holds $byte "$KIT_TMP/$machine.qcow2"
done < <(some "${migrate_steps[@]}")

while read -r step instant; do
    name="rollback, killed $instant $step"
    byte=$((byte % 250 + 1))
    tiny_write $byte
    ok "$name: a move" command_line "${migrate[@]}"
    killed rollback "$step" "$instant" "${rollback[@]}"
    go_home "$name"
    ok "$name: it is as it was" holds $byte "$KIT_TMP/$machine.qcow2"
    ok "$name: replication goes on" command_line sync $machine --follow
done < <(some "${rollback_steps[@]}")

while read -r step instant; do
    name="test, killed $instant $step"
    killed test "$step" "$instant" "${test[@]}"
    [ "$(operation .state test)" = live ] || ok "$name: the same command again" command_line "${test[@]}"
    ok "$name: clean up" command_line "${cleanup[@]}"
    as_before "$name: all is as before"
    ok "$name: the machine runs on" at_home
done < <(some "${test_steps[@]}")

while read -r step instant; do
    name="test-cleanup, killed $instant $step"
    ok "$name: a test" command_line "${test[@]}"
    killed test-cleanup "$step" "$instant" "${cleanup[@]}"
    # Whatever is left of it goes when asked again; nothing may be left, which is no error to say.
    command_line "${cleanup[@]}" >"$KIT_TMP/log" 2>&1 || true
    as_before "$name: all is as before"
done < <(some "${cleanup_steps[@]}")

never_two "in all of this the machine never ran twice"

complete_steps=(clean-source hand-over unpin release)
rounds=0
chosen=$(((chosen + 1) / 2))
for disks in merge keep; do
    while read -r step instant; do
        completed $disks "$step" "$instant"
    done < <(some "${complete_steps[@]}")
done
done_testing
