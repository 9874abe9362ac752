#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tests of recovery points beside a machine that goes on: its disk and its network see nothing of them,
# its replication keeps its interval, and what was made for them is gone afterwards, ten times over.
. "$(dirname "$0")/failover.sh"

interval=5
rounds=10

packets() {
    cat "/sys/class/net/$1/statistics/rx_packets"
}

lag_s() {
    landfall machine show $machine --json | jq -r '(now - (.replication.last_point_at | sub("\\.[0-9]+"; "") | fromdate)) | floor'
}

# Watches the age of the latest recovery point; the largest goes to lag.max.
watch_lag() {
    local max=0 lag
    while :; do
        lag=$(lag_s)
        [ "$lag" -le "$max" ] || { max=$lag && echo "$max" >"$KIT_TMP/lag.max"; }
        sleep 1
    done
}

two_hosts
define_counting $machine 25
guest_start $machine
guest_wait_acked $machine $patience 20
replicated $machine
landfall target set here --network production=production --store-path "$store" >/dev/null
acked=$(guest_acked $machine)
landfall sync $machine --follow >"$KIT_TMP/log"
acked_after=$(guest_acked $machine)

# --- one that boots -------------------------------------------------------------------------------

# From here on the machine's card is silent: a packet on production's bridge would be a test's.
guest_run $machine 'ip link set eth0 down' >/dev/null
sleep 1
packets_before=$(packets prod0)
host_looks "$KIT_TMP/looked"
landfall settings $machine --interval ${interval}s >/dev/null
: >"$KIT_TMP/lag.max"
watch_lag &
watcher=$!
cleanup_fn stop_process $watcher

said_by "a test on its own host" 0 'is done' landfall test-migrate $machine --target here \
    --probe 'console=writer goes on after' --follow
ok "F: the machine runs on" power_at here $machine running
ok "and its test" power_at here $machine-test running
console=$(console_of $machine-test)
ok "the test has what was acknowledged" lives_on test "$console" "$acked" "$acked_after"
is "a network of its own" "$(virsh -q domiflist $machine-test | awk '$3 == "production"' | wc -l)" 0
bridge=$(virsh -q net-info "$(virsh -q domiflist $machine-test | awk '{ print $3 }')" | awk '/Bridge/ { print $2 }')
ok "where it can be heard" wait_for 30 bash -c "[ \$(cat /sys/class/net/$bridge/statistics/rx_packets) -gt 0 ]"
ok "on a bridge without the host's cards" bash -c "[ \$(ls /sys/class/net/$bridge/brif | grep -vc '^vnet\|-nic\$') -eq 0 ]"
unlike "its disk is not the machine's" "$(virsh -q domblklist $machine-test)" "$KIT_TMP/$machine.qcow2"
is "the tests of it" "$(landfall test list $machine --json | jq '[.items[] | select(.state == "live")] | length')" 1
operation=$(operation .id test)
landfall_screenshot=$(find "$KIT_TMP/d/evidence" -name '*.png' | head -n 1)
like "a screenshot is kept" "$(head -c 4 "$landfall_screenshot" | tail -c 3)" PNG

# --- three more beside it, one there --------------------------------------------------------------

jobs=()
for at in here here there; do
    jobs+=("$(landfall test-migrate $machine --target $at --probe power=1 --json | jq -r .job)")
done
for job in "${jobs[@]}"; do
    ok "tests at once: $job" landfall job follow "$job"
done
is "they stand beside each other" "$(landfall test list $machine --json | jq '[.items[] | select(.state == "live")] | length')" 4
said_by "one is cleaned up" 0 . landfall test-cleanup $machine --test "$operation" --follow
is "and only that one" "$(landfall test list $machine --json | jq '[.items[] | select(.state == "live")] | length')" 3
ok "all others are cleaned up" landfall test-cleanup $machine --follow
ok "really all" wait_for 60 bash -c "[ \$(landfall test list $machine --json | jq '[.items[] | select(.state == \"live\")] | length') = 0 ]"

# --- one that fails, and ten rounds ---------------------------------------------------------------

said_by "a test that fails says so" 1 'test failed: .*console' landfall test-migrate $machine --target here \
    --probe 'console=never to be seen' --wait 7s --follow
is "its verdict" "$(operation .verdict test)" failed
for round in $(seq $rounds); do
    landfall test-migrate $machine --target here --probe power=1 --follow >"$KIT_TMP/log" 2>&1 &&
        landfall test-cleanup $machine --follow >"$KIT_TMP/log" 2>&1 || break
done
is "ten rounds of test and clean-up" "$round $(landfall test list $machine --json | jq '[.items[] | select(.state == "live")] | length')" "$rounds 0"
said_by "one that goes by itself" 0 . landfall test-migrate $machine --target here --probe power=1 --cleanup-after 1s --follow
ok "it goes by itself" wait_for 60 power_at here $machine-test ''

# --- what production saw --------------------------------------------------------------------------

stop_process $watcher
ok "the replication kept its interval (at most $(<"$KIT_TMP/lag.max") s old)" \
    [ "$(<"$KIT_TMP/lag.max")" -le $((interval + interval / 2 + 5)) ]
landfall settings $machine --interval 1h >/dev/null
wait_for 30 bash -c "[ \$(landfall job list --machine $machine --json | jq '[.items[] | select(.state == \"running\")] | length') = 0 ]"
as_before "hosts and store are as before"
is "no packet came to production's bridge" "$(packets prod0)" "$packets_before"
is "no error reached the guest" "$(guest_console $machine | grep -c '^error' || true)" 0
guest_wait_more_acked $machine 30 5
acked=$(guest_acked $machine)
guest_destroy $machine
ok "its disk has its own records alone" holds_records "$acked" "$KIT_TMP/$machine.qcow2"
done_testing
