#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Many machines at a short interval on one appliance: no tick is missed, the order is fair, memory and
# processor time are bounded. LANDFALL_LONG=1: a hundred machines at a minute, for four minutes.
. "$(dirname "$0")/daemon.sh"

if [ -n "${LANDFALL_SANITIZED:-}" ]; then
    machines=10 interval=40 rounds=1
elif [ -n "${LANDFALL_LONG:-}" ]; then
    machines=100 interval=60 rounds=4
else
    machines=20 interval=10 rounds=2
fi

for number in $(seq $machines); do
    tiny_define "m$number" 1M
done

# The daemon's own time, that of its children, and theirs, in hundredths of a second.
daemon_ticks() {
    local text fields
    text=$(<"/proc/$daemon_pid/stat")
    read -r -a fields <<<"${text##*) }"
    echo "$((fields[11] + fields[12])) $((fields[13] + fields[14]))"
}

daemon_start
for setting in cycles_max cycles_per_host_max first_copies_max; do
    landfall setting set $setting 4 >/dev/null
done
for number in $(seq $machines); do
    replicate "m$number" --interval ${interval}s --retain 3 >/dev/null
done
ok "every machine has its first copy" wait_for $((interval * 2 + 60)) \
    state_is "SELECT count(*) FROM replication WHERE ever_committed = 1" $machines
last=$(state "SELECT max(id) FROM job")
read -r own_before children_before <<<"$(daemon_ticks)"
begun=$(kit_now)
ok "$rounds rounds go by" wait_for $((interval * (rounds + 1) + 30)) state_is \
    "SELECT count(*) FROM (SELECT machine FROM job WHERE state = 'done' AND id > $last GROUP BY machine \
        HAVING count(*) >= $rounds)" $machines
read -r own children <<<"$(daemon_ticks)"
took_ms=$((($(kit_now) - begun) / 1000))
rss_kib=$(awk '/^VmHWM/ { print $2 }' "/proc/$daemon_pid/status")
daemon_stop

jobs=$(state "SELECT count(*) FROM job WHERE id > $last AND state = 'done'")
late_ms=$(state "SELECT max(started_us - queued_us) / 1000 FROM job WHERE id > $last")
gap_ms=$(state "SELECT max(gap) / 1000 FROM (SELECT started_us - lag(started_us) OVER \
    (PARTITION BY machine ORDER BY id) AS gap FROM job WHERE id > $last)")
own_percent=$(((own - own_before) * 1000 / took_ms))
all_percent=$(((own - own_before + children - children_before) * 1000 / took_ms))
diag "$jobs cycles of $machines machines in $took_ms ms: latest start $late_ms ms late, longest gap $gap_ms ms;" \
    "processor: daemon $own_percent %, with its children $all_percent %; memory of the daemon $rss_kib KiB"

is "no cycle failed" "$(state "SELECT count(*) FROM job WHERE state NOT IN ('done', 'cancelled')")" 0
ok "J1: no tick is missed" [ "$gap_ms" -lt $((interval * 2000)) ]
# Sanitizers and busy machines make cycles slow, and then the limit of running ones makes others wait.
ok "J3: nobody waits longer than a part of the interval" [ "$late_ms" -lt $((interval * 500)) ]
is "J3: no machine gets more turns than another" "$(state "SELECT max(n) - min(n) <= 1 FROM \
    (SELECT count(*) AS n FROM job WHERE id > $last AND state = 'done' GROUP BY machine)")" 1
is "J4: never more at once than the limit" "$(state "SELECT max(n) <= 4 FROM (SELECT (SELECT count(*) FROM \
    job b WHERE b.started_us <= a.started_us AND b.ended_us > a.started_us) AS n FROM job a)")" 1
ok "memory is bounded" [ "$rss_kib" -lt 131072 ]
if [ -n "${LANDFALL_LONG:-}" ] && [ -z "${LANDFALL_SANITIZED:-}" ]; then
    ok "it takes less than one processor" [ $all_percent -lt 100 ]
fi
ok "a machine chosen by chance is proven" landfall store verify "$daemon_store" "m$((RANDOM % machines + 1))" --all
done_testing
