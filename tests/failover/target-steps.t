#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A test of a recovery point at its target, step by step, while the machine goes on: what each step
# makes, that it may be killed at any time and done again, and that nothing is left in the end.
# LANDFALL_SEED repeats the kills; LANDFALL_LONG=1: more of them.
. "$(dirname "$0")/target.sh"

seed=${LANDFALL_SEED:-$RANDOM}
RANDOM=$seed
diag "LANDFALL_SEED=$seed"

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 64M
virsh -q net-define /dev/stdin <<<"<network><name>lan</name><bridge name='br-lan'/></network>" >/dev/null
virsh -q net-start lan >/dev/null
guest_xml web --mode writer --rate 20 --agent --disk "vda:qcow2:$KIT_TMP/vda.qcow2" --network lan |
    sed "s,</devices>,<video><model type='vga'/></video></devices>," >"$KIT_TMP/web.xml"
virsh -q define "$KIT_TMP/web.xml" >/dev/null
guest_start web
ok "a machine runs" guest_wait_acked web 60 10
cycle web
cycle_ok "it has a recovery point"
guest_wait_more_acked web 30 10
acked=$(guest_acked web)
cycle web
cycle_ok "and another"
uuid=$(virsh -q domuuid web | grep .)
folder=$live_store/$uuid
target_machine=web target_point=2
probes='{"options":{"wait_s":90,"probes":[{"kind":"agent"},{"kind":"console","pattern":"^ack \\d+$"}]}}'

# --- what each step makes ------------------------------------------------------------------------

target_step 1 pin
step_ok "F20: the recovery point is pinned"
before_overlay=$(target_host)
target_step 1 clone
step_ok "F21: it gets an overlay"
overlay=$folder/clones/1/vda.qcow2
is "F21: which stands on the layer by a relative name, and says of what format that is" \
    "$(qemu-img info --output=json "$overlay" | jq -r '."backing-filename" + " " + ."backing-filename-format"')" \
    "../../disks/vda/000002.qcow2 qcow2"
mkdir "$KIT_TMP/elsewhere"
mount --bind "$live_store" "$KIT_TMP/elsewhere"
ok "F21: so it opens where the store is seen as another folder" \
    qemu-img check -q "$KIT_TMP/elsewhere/$uuid/clones/1/vda.qcow2"
umount "$KIT_TMP/elsewhere"
target_step 1 test-network
step_ok "F22: a network is made"
network=$(fact name) bridge=$(fact bridge)
is "F22: it leads nowhere" "$(virsh net-dumpxml "$network" | grep -cE '<(ip|forward|dns) ' || true)" 0
is "F22: nor has the host an address in it" "$(ip -4 -br address show "$bridge" | awk '{ print $3 }')" ""
target_step 1 define
step_ok "F23: the machine is defined"
is "F23: under a name of its own" "$(fact domain_name)" web-1
unlike "F23: and a UUID of its own" "$(fact domain_uuid)" "$uuid"
target_step 1 start
step_ok "F24: it is started"
is "F24: the layers still belong to us" "$(stat -c %u "$folder/disks/vda/"* | sort -u)" "$(id -u)"
target_step 1 watch "$probes"
step_ok "F25: it is watched"
is "F25: it works" "$(fact verdict)" passed
diag "first sign to last: $(fact boot_ms) ms; $(jq -c '[.checks[] | {(.check): .ms}] | add' <<<"$result")"
# The guest's cards are named by a process of their own, and a kernel may complain.
said=$(jq -r '.console[] | select(test("^(card |\\[)") | not)' <<<"$result")
like "F25: what it said from the first line on is evidence" "$(head -n 2 <<<"$said" | paste -s -d ' ')" '^ready writer goes on after [0-9]+$'
is "F25: a picture of its screen is, too" "$(head -c 4 "$target_screen" | tail -c 3)" PNG
last=$(jq -r '.console[] | select(startswith("writer goes on"))' <<<"$result" | grep -o '[0-9]*$')
ok "F21: it has every record from before the recovery point ($last of $acked)" [ "$last" -ge "$acked" ]
is "F22: its card is alone there, with production's address" \
    "$(virsh -q domiflist web-1 | awk '{ print $3, $5 }')" "$network $(virsh -q domiflist web | awk '{ print $5 }')"

# --- beside it -----------------------------------------------------------------------------------

guest_wait_more_acked web 30 5
cycle web --retain 1
cycle_ok "F20: replication goes on"
is "F20: what is pinned is not retired" "$(ls "$folder/recovery-points"/*.json | wc -l)" 2
like "F20: nor merged" "$(grep -o 'merging waits' "$KIT_TMP/cycle.events" | head -n 1)" waits
run landfall forget --json --host "$LIBVIRT_DEFAULT_URI" --machine "$uuid" --store "$live_store" --remove-replica
like "F20: nor is the replica removed" "$status $output" '1 .*"conflict".*is held by operation 1'
is "F20: the list tells who holds it" \
    "$(landfall store list --json "$live_store" web | jq -c '[.recovery_points[].held_by]')" '["1",null]'
like "F20: people, too" "$(landfall store list "$live_store" web)" 'held by'
ok "F20: and proven as before" landfall store verify "$live_store" web --all
cycle web --retain 5
cycle_ok "the checkpoint is there again"
target_point=4
target_steps 2 '{}' "${target_makes[@]}" && pass "F20: another test runs at the same time" ||
    fail "F20: another test runs at the same time"
is "each on a bridge of its own" "$(ip -br link | grep -c '^lf-')" 2
target_point=2

# --- the end -------------------------------------------------------------------------------------

target_steps 2 '{}' "${target_undoes[@]}"
for one in "${target_undoes[@]}"; do
    target_step 1 "$one"
    step_ok "F26: $one"
    target_step 1 "$one"
    step_ok "F26: $one once more"
done
target_facts[1]='{}'
target_steps 1 '{}' "${target_undoes[@]}" && pass "F26: and with nothing known" || fail "F26: and with nothing known"
is "F26: nothing is left" "$(diff <(target_host) - <<<"$before_overlay" | grep '^<' | grep -v 'disks/vda\|recovery-points/00000[34]' || true)" ""

# --- kills ---------------------------------------------------------------------------------------

# killed OPERATION STEP: killed somewhere on its way, then done again.
killed() {
    begin_step "$2" web "$(target_work "$1")"
    # Up to a third of a second: longer than most steps take.
    poll_ms $((RANDOM % 300))
    kill -s KILL "$step_pid" 2>/dev/null || true
    end_step
    [ "$status" -ne 137 ] || kills=$((kills + 1))
    target_step "$1" "$2"
    [ "$status" -eq 0 ] || diag "step $2 after a kill: $messages"
    [ "$status" -eq 0 ]
}

poll_ms() {
    read -r -t "$(printf '0.%03d' "$1")" <&"$never" || true
}

mkfifo "$KIT_TMP/never"
exec {never}<>"$KIT_TMP/never"
rounds=1 more_rounds=2
[ -z "${LANDFALL_LONG:-}" ] || rounds=30 more_rounds=10
kills=0 failures=0
before=$(target_host)
for ((round = 1; round <= rounds; round++)); do
    target_facts[7]='{}'
    for one in "${target_makes[@]}"; do
        killed 7 "$one" || failures=$((failures + 1))
    done
    is "round $round: it runs" "$(guest_state web-7)" running
    [ $((round % 2)) -eq 0 ] || target_facts[7]='{}'
    for one in "${target_undoes[@]}"; do
        killed 7 "$one" || failures=$((failures + 1))
    done
    is "F27: round $round: nothing is left" "$(target_host)" "$before"
done
diag "$kills of $((rounds * 10)) steps were killed on their way"
is "F27: each step succeeds after a kill" $failures 0
ok "F27: some were killed" [ $kills -gt 0 ]

for ((round = 1; round <= more_rounds; round++)); do
    target_facts[8]='{}'
    target_steps 8 '{}' "${target_makes[@]}" "${target_undoes[@]}" || failures=$((failures + 1))
done
is "F26: $more_rounds rounds leave the host as it was" "$failures $(target_host)" "0 $before"
is "the machine itself has noticed nothing" "$(guest_console web | grep -c '^error' || true)" 0
done_testing
