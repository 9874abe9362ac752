# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of served disks and of the hand-over share: steps of one operation of machine web one
# after the other, as the daemon gives the results of each to those after it.

# shellcheck source=tests/failover/steps.sh
. "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

served_facts='{}'
served_more='{}' # over the work of every step
web_uuid=

# served STEP…: until one fails. Leaves $status, $result and $messages of the last.
served() {
    local one work
    for one; do
        work=$(jq -c --arg uuid "$web_uuid" --argjson facts "$served_facts" \
            '{machine: {uuid: $uuid}, facts: $facts} * .' <<<"$served_more")
        step "$one" web "$work"
        if [ "$status" -ne 0 ]; then
            diag "step $one: $messages"
            return "$status"
        fi
        served_facts=$(jq -c --arg step "$one" --argjson result "$result" '.[$step] = $result' \
            <<<"$served_facts")
    done
}

# served_start OPTION…: web is defined, and runs.
served_start() {
    guest_define web --mode writer "$@"
    guest_start web
    web_uuid=$(virsh -q domuuid web | grep .)
    guest_wait_acked web 60 20
}

# In the target's definition the first serial port is no file any more: somebody has to read it.
console_follow() {
    local path
    path=$(virsh dumpxml "$1" | sed -n "s/.*<source path='\(.dev.pts.*\)'.*/\1/p" | head -n 1)
    stty -F "$path" raw -echo
    start_background bash -c 'exec cat "$1" >>"$2"' - "$path" "$KIT_TMP/$1.console"
}

# disk_is MACHINE DISK TEXT: in the definition that runs and in the persistent one.
disk_is() {
    local flags
    for flags in '' --inactive; do
        # shellcheck disable=SC2086  # none, or one
        virsh -q domblklist "$1" $flags | awk -v disk="$2" '$1 == disk { print $2 }' |
            grep -x -- "$3" || return 1
    done
}

has_come_to() {
    jq -e --argjson least "$1" 'select(.event == "progress" and .done >= $least)' "$KIT_TMP/step.events"
}

# served_killed STEP BYTES: the step is killed when it has come as far as that.
served_killed() {
    local status=0 # not that of ok, which waits for its command's own
    begin_step "$1" web "$(jq -c --arg uuid "$web_uuid" --argjson facts "$served_facts" \
        '{machine: {uuid: $uuid}, facts: $facts} * .' <<<"$served_more")"
    wait_for 60 has_come_to "$2" || return 1
    kill -KILL "$step_pid"
    end_step || true
    [ "$status" -eq 137 ]
}

served_state() {
    virsh -q domstate --reason "$1" | grep .
}

served_is() {
    [ "$(served_state "$1")" = "$2" ]
}
