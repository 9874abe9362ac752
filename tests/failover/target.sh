# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of the target's steps share: the facts of operations that add up, and all that a test
# could leave on a host.

# shellcheck source=tests/failover/steps.sh
. "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

target_machine=
target_point=1
target_screen=$KIT_TMP/screen.png
declare -A target_facts=()

# make_test STEP…: in the order of a test; undo STEP…: in that of its cleanup.
target_makes=(pin clone test-network define start)
target_undoes=(stop undefine remove-network remove-clone unpin)

# target_work OPERATION [JSON]: what is particular about the work of a test; JSON goes over it.
target_work() {
    jq -nc --argjson operation "$1" --argjson point "$target_point" --arg screen "$target_screen" \
        --argjson facts "${target_facts[$1]:-{\}}" --argjson more "${2:-{\}}" '{operation: $operation,
        kind: "test", recovery_point: $point, evidence: $screen, target: {machine: {name_suffix: "-\($operation)"}},
        facts: $facts} * $more'
}

# target_step OPERATION STEP [JSON]: leaves $status, $result and $messages; the result becomes a fact.
target_step() {
    step "$2" "$target_machine" "$(target_work "$1" "${3:-}")"
    target_learn "$1" "$2"
}

target_learn() {
    [ "$status" -ne 0 ] || target_facts[$1]=$(jq -c --arg step "$2" --argjson result "$result" \
        '.[$step] = $result' <<<"${target_facts[$1]:-{\}}")
}

# target_steps OPERATION JSON STEP…: one after the other; 1 when one has failed.
target_steps() {
    local operation=$1 more=$2 one
    shift 2
    for one; do
        target_step "$operation" "$one" "$more"
        [ "$status" -eq 0 ] || { diag "step $one: $messages" && return 1; }
    done
}

# target_host: all that tests could have left, as text. Groups of files are no litter: QEMU's user is let in
# once, and so are the pins that every reader leaves.
target_host() {
    virsh -q list --all --name | sed '/^$/d' | sort
    virsh -q net-list --all --name | sed '/^$/d' | sort
    ip -br link | awk '{ print $1 }' | sort
    (cd "$live_store" && find . ! -name '*.json.pin' -printf '%p %u %y\n' | sort)
    find /etc/libvirt /var/lib/libvirt -type f ! -path '*/domain-*' ! -path '*/checkpoint/*' | sort
}
