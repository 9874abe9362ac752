#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A daemon runs by itself: cycles when they are due, retention, retries, alerts, across restarts.
. "$(dirname "$0")/daemon.sh"
requires perl
# A cycle a second is too much for programs that are several times slower.
interval=$([ -n "${LANDFALL_SANITIZED:-}" ] && echo 8 || echo 1)

# Each call of the webhook is a line; each mail follows a line "mail".
start_background perl -MIO::Socket::INET -e '
    $| = 1;
    my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1:8099", Listen => 9, ReuseAddr => 1) or die;
    print "listening\n";
    while (my $client = $server->accept) {
        my $length = 0;
        while (<$client>) { $length = $1 if /^Content-Length: (\d+)/i; last if /^\r?$/ }
        read $client, my $body, $length;
        print "$body\n";
        print $client "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        close $client;
    }'
webhook_log=$KIT_LOG
mkdir "$KIT_TMP/bin"
printf '#!/bin/bash\n[ ! -e "%s/refuse" ] || exit 1\n{ echo mail "$@"; cat; } >>"%s/mails"\n' \
    "$KIT_TMP" "$KIT_TMP" >"$KIT_TMP/bin/sendmail"
chmod +x "$KIT_TMP/bin/sendmail"
export PATH="$KIT_TMP/bin:$PATH"
wait_for 10 grep -q listening "$webhook_log"

tiny_define m1

# points ID: the numbers of the recovery points in the store.
points() {
    landfall store list "$daemon_store" "$1" --json | jq -r '[.recovery_points[].number] | join(" ")'
}
last() {
    state "SELECT json_extract(result, '$1') FROM job WHERE machine = $m1 AND state = 'done' ORDER BY id DESC LIMIT 1"
}

# --- cycles -------------------------------------------------------------------------------------

daemon_start
landfall setting set alert_webhook http://127.0.0.1:8099/alerts >/dev/null
landfall setting set alert_mail_to admin@example.org >/dev/null
m1=$(replicate m1 --interval ${interval}s --retain 3)
ok "a machine that is due gets its cycles by itself" \
    wait_for 60 state_is "SELECT count(*) >= 5 FROM job WHERE machine = $m1 AND state = 'done'" 1
is "no two starts are closer than the interval" "$(state "SELECT count(*) FROM job a JOIN job b ON \
    b.machine = a.machine AND b.id > a.id WHERE b.started_us - a.started_us < $interval * 990000")" 0
is "the machine replicates" "$(state "SELECT state, failures, ever_committed FROM replication WHERE \
    machine = $m1")" "replicating|0|1"
tiny_write m1 0 65536 7
number=$(last '$.number')
ok "a change is in the next recovery point" wait_for 20 \
    state_is "SELECT count(*) > 0 FROM job WHERE machine = $m1 AND json_extract(result, '\$.number') > $number \
        AND json_extract(result, '\$.disks[0].changed_blocks') = 1 \
        AND json_extract(result, '\$.disks[0].mode') = 'bitmap'" 1
like "events are kept with the job" "$(state "SELECT event FROM job_event WHERE job = 1")" '"event":"snapshot"'
is "its store is like one that a person made" "$(find "$daemon_store" -name base.raw -printf '%m\n' | sort -u)" 640
daemon_stop
is "J9: SIGTERM leaves no job running" "$(state "SELECT count(*) FROM job WHERE state = 'running'")" 0
is "J1: the next cycle is due an interval after the start of the last" \
    "$(state "SELECT next_due_us - last_started_us FROM replication WHERE machine = $m1")" ${interval}000000
is "retention keeps as many as asked for" "$(points m1 | wc -w)" 3
ok "what is kept is proven" landfall store verify "$daemon_store" m1 --all
is "the state knows the store's last recovery point" \
    "$(state "SELECT last_point FROM replication WHERE machine = $m1")" "$(points m1 | awk '{print $NF}')"

# --- failures -----------------------------------------------------------------------------------

before=$(state "SELECT max(id) FROM job")
libvirtd_stop
daemon_start
ok "a host that does not answer makes cycles fail, and they are tried again" wait_for 40 \
    state_is "SELECT failures >= 3 FROM replication WHERE machine = $m1" 1
is "J6: an error that may pass leaves the machine replicating" \
    "$(state "SELECT state, json_extract(error, '\$.code') FROM replication WHERE machine = $m1")" \
    "replicating|source"
is "attempts are counted" "$(state "SELECT attempt FROM job WHERE machine = $m1 AND id > $before AND \
    state = 'failed' ORDER BY id LIMIT 3" | tr '\n' ' ')" "1 2 3 "
ok "the alert is raised" wait_for 10 state_is \
    "SELECT state FROM alert WHERE kind = 'failing' AND object = 'machine/$m1'" raised
ok "the lag, too" wait_for 30 state_is \
    "SELECT state FROM alert WHERE kind = 'lag' AND object = 'machine/$m1'" raised
libvirtd_start
ok "it goes on when the host is back" wait_for 40 state_is \
    "SELECT failures = 0 AND error IS NULL FROM replication WHERE machine = $m1" 1
ok "the alert is resolved" wait_for 20 state_is \
    "SELECT state, pending IS NULL FROM alert WHERE kind = 'failing'" "resolved|1"
is "J8: the webhook was called once for each change" \
    "$(grep '"kind":"failing"' "$webhook_log" | jq -r .state | tr '\n' ' ')" "raised resolved "
is "and a mail was sent for each" "$(grep -cE '^Subject: \[Landfall\] (resolved: )?machine m1: 3 cycles' \
    "$KIT_TMP/mails")" 2
like "with its recipient in the header alone" "$(cat "$KIT_TMP/mails")" \
    'mail -t -i.*To: admin@example.org'

# --- what waits for the operator ----------------------------------------------------------------

daemon_stop
virsh -q destroy m1 >/dev/null
virsh -q undefine m1 --checkpoints-metadata >/dev/null
daemon_start
ok "a machine that is not there is an error" wait_for 40 \
    state_is "SELECT state FROM replication WHERE machine = $m1" error
ok "and an alert at once" wait_for 10 state_is \
    "SELECT state, message LIKE '%until somebody acts%' FROM alert WHERE kind = 'failing'" "raised|1"
ok "J6: one that waits for the operator is tried again slowly" \
    state_is "SELECT next_due_us - last_started_us > 3500000000 FROM replication WHERE machine = $m1" 1

# --- a store that goes away ---------------------------------------------------------------------

# A setting that changes lets the daemon look at once.
store_alert_is() {
    landfall setting set alert_store_free_percent "$((alerts_asked++ % 2 + 1))" >/dev/null
    state_is "SELECT state FROM alert WHERE kind = 'store-lost' AND object LIKE 'store/%'" "$1"
}
alerts_asked=0
landfall setting set inventory_interval_s 1 >/dev/null
mv "$daemon_store" "$daemon_store.away"
ok "a store that is gone is told" wait_for 20 store_alert_is raised
mv "$daemon_store.away" "$daemon_store"
[ -z "${LANDFALL_LONG:-}" ] || touch "$KIT_TMP/refuse"
ok "and that it is back" wait_for 20 store_alert_is resolved
if [ -n "${LANDFALL_LONG:-}" ]; then
    untold="SELECT notify_error LIKE '%sendmail%' FROM alert WHERE kind = 'store-lost' AND pending = 'resolved'"
    ok "a mail that is not taken is known" wait_for 30 state_is "$untold" 1
    rm "$KIT_TMP/refuse"
    ok "and sent again" wait_for 60 grep -q '^Subject: .Landfall. resolved: store' "$KIT_TMP/mails"
    is "J8: but the webhook is not called again" \
        "$(grep '"kind":"store-lost"' "$webhook_log" | jq -r .state | tr '\n' ' ')" "raised resolved "
fi
daemon_stop
done_testing
