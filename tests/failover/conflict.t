#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two operators and two daemons at once: one wins, the other is told who.
. "$(dirname "$0")/failover.sh"

second() {
    LANDFALL_SOCKET=$KIT_TMP/e-run/landfalld.sock "$@"
}

move=(landfall migrate "$machine" --target there --probe power=1 --on-deadline force --yes)

two_hosts
define_empty $machine
replicated $machine

# --- two operators --------------------------------------------------------------------------------

# The shutdown takes its deadline, and the move is in the midst of it.
started=$("${move[@]}" --shutdown-deadline 6s --json | jq -r .job)
said_by "a second operator" 1 "migrate.*job $started" "${move[@]}"
like "the code" "$("${move[@]}" --json 2>&1 || true)" 'conflict'
said_by "nor a rollback yet" 1 "migrate" landfall rollback $machine --yes
ok "the first one gets there" landfall job follow "$started"
is "it has moved" "$(guest_state $machine)/$(there guest_state $machine)" "shut off/running"
said_by "a move of what has moved" 1 'migrate' "${move[@]}" --follow
ok "and back" landfall rollback $machine --deadline 1s --yes --follow
is "it is back" "$(guest_state $machine)" running

# Both in one instant: one of them is a conflict.
for who in 1 2; do
    "${move[@]}" --shutdown-deadline 1s --json >"$KIT_TMP/who.$who" 2>&1 &
    pids[who]=$!
done
won=0
for who in 1 2; do
    wait "${pids[who]}" && won=$((won + 1)) || like "the loser is told" "$(<"$KIT_TMP/who.$who")" conflict
done
is "at once: one of two wins" $won 1
wait_for $patience bash -c "landfall operation list --machine $machine --json | jq -e '.items[0].state == \"live\"' >/dev/null"

# --- two daemons on one store ---------------------------------------------------------------------

landfalld_start e
second landfall host add here "$LIBVIRT_DEFAULT_URI" >/dev/null
second landfall host add there "$there_uri" >/dev/null
second landfall store add main "$store" >/dev/null
second landfall target set here --network production=production --store-path "$store" >/dev/null
second landfall target set there --network production=lan --store-path "$store" >/dev/null
wait_for 30 second landfall replicate here/$machine --store main --interval 1h >/dev/null 2>&1 || true
said_by "another daemon's cycle" 1 "migrate|moved|lease" second landfall sync here/$machine --follow
said_by "another daemon's move" 1 "migrate|moved|lease" second landfall migrate here/$machine --target there --probe power=1 --yes --follow
is "it runs there, and only there" "$(guest_state $machine)/$(there guest_state $machine)" "shut off/running"
ok "the first daemon takes it back" landfall rollback $machine --deadline 1s --yes --follow
is "it is back" "$(guest_state $machine)" running
never_two "it never ran twice"
done_testing
