# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of single steps share: a step as the daemon runs it, and what it answered.

# shellcheck source=tests/appliance/live.sh
. "$(dirname "${BASH_SOURCE[0]}")/../appliance/live.sh"

declare -A step_uuids=()

# step_work NAME MACHINE [JSON]: the line of work; the members of JSON go over it.
step_work() {
    jq -nc --arg step "$1" --arg name "$2" --arg uuid "${step_uuids[$2]}" \
        --arg uri "$LIBVIRT_DEFAULT_URI" --arg store "$live_store" --argjson more "${3:-{\}}" '{operation: 12, kind: "migrate",
        step: $step, machine: {id: 3, uuid: $uuid, name: $name}, source: {host: "here", uri: $uri},
        target: {host: "there", uri: $uri, reach: "path", store_path: $store},
        store: {name: "main", path: $store}, options: {}, facts: {}} * $more'
}

# step NAME MACHINE [JSON]: leaves $status, $result (the facts) and $messages.
step() {
    begin_step "$@"
    end_step
}

# begin_step: the same in the background; $step_pid is its process.
begin_step() {
    [ -n "${step_uuids[$2]:-}" ] || step_uuids[$2]=$(virsh -q domuuid "$2" | grep .)
    step_work "$@" >"$KIT_TMP/step.work"
    : >"$KIT_TMP/step.events"
    env --default-signal=INT,QUIT landfall failover-step "$1" <"$KIT_TMP/step.work" \
        >"$KIT_TMP/step.events" 2>"$KIT_TMP/step.stderr" &
    step_pid=$!
}

end_step() {
    status=0
    { wait "$step_pid" || status=$?; } 2>/dev/null
    result=$(jq -c 'select(.event == "result") | del(.event)' "$KIT_TMP/step.events" || true)
    messages=$(jq -r 'select(.event | IN("error", "warning", "note")) |
        "\(.event) \(.code // ""): \(.message) \(.hint // "")"' "$KIT_TMP/step.events" || true)
    messages+=$(cat "$KIT_TMP/step.stderr")
}

# step_ok NAME: the last step succeeded; shows what it said when it did not.
step_ok() {
    is "$1" "$status" 0
    [ "$status" -eq 0 ] || diag "$messages"
}

# fact MEMBER: of the last step's result.
fact() {
    jq -r ".$1" <<<"$result"
}

autostart_of() {
    virsh dominfo "$1" | sed -n 's/^Autostart: *//p'
}

# libvirt leaves an empty element when the last note has gone.
definition_of() {
    virsh dumpxml --inactive "$1" | grep -v '<metadata/>'
}
