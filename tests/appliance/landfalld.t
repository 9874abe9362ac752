#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon as a process: what it says when it starts and ends, whom it refuses, what it leaves
# behind, who can look into it, and what it tells the service manager.
. "$(dirname "$0")/../kit/kit.sh"
requires perl setpriv sqlite3

state=$KIT_TMP/state
runtime=$KIT_TMP/runtime
landfalld=(landfalld --state-dir "$state" --runtime-dir "$runtime" --listen 0)

# start_landfalld COMMAND…: returns when it serves; sets KIT_PID and KIT_LOG.
start_landfalld() {
    start_background "$@"
    wait_for 20 grep -q '^landfalld: ready$' "$KIT_LOG" || { diag <"$KIT_LOG"; return 1; }
}

# ends SIGNAL: it goes within the deadline, sets status to its own.
ends() {
    status=0
    kill -s "$1" "$KIT_PID"
    wait "$KIT_PID" || status=$?
}

# --- start, one at a time, end ------------------------------------------------------------------

mode() {
    stat -c %a "$1"
}
ok "it starts, in folders it makes" start_landfalld "${landfalld[@]}"
is "A15: the state folder is its own" "$(mode "$state")" 700
is "A15: and every file in it" "$(find "$state" -type f -printf '%m\n' | sort -u)" 600
is "A15: others may not look into the runtime folder" "$(($(mode "$runtime") % 10))" 0
is "A15: no core dumps" "$(awk '/Max core file size/ { print $5, $6 }' "/proc/$KIT_PID/limits")" '0 0'

run "${landfalld[@]}"
is "A13: a second daemon on the same folder: exit code" "$status" 1
like "A13: and by whom it is held" "$output" "is held by process $KIT_PID \(landfalld\)"
like "A13: and what to do" "$output" 'hint: '
ok "A13: which does not disturb the first" kill -0 "$KIT_PID"
ends TERM
is "SIGTERM: exit code" "$status" 0
is "SIGTERM: nothing is left in the runtime folder" "$(ls -A "$runtime")" ''
is "SIGTERM: nothing but the state is left" "$(cd "$state" && ls -A | tr '\n' ' ')" 'evidence key landfall.db landfalld.lock '

ok "it starts again" start_landfalld "${landfalld[@]}"
ends INT
is "SIGINT: exit code" "$status" 0
ok "and again" start_landfalld "${landfalld[@]}"
ends KILL 2>/dev/null
ok "also after kill -9" start_landfalld "${landfalld[@]}"
ends TERM
is "which then ends like any other" "$status" 0

# --- what it refuses ----------------------------------------------------------------------------

# refuses NAME REGEX COMMAND…: exit code 2, a message and a hint.
refuses() {
    run "${@:3}"
    is "$1: exit code" "$status" 2
    like "$1: what is wrong" "$output" "$2"
}
refuses "an unknown option" 'Unknown option' landfalld --no-such-option
refuses "an argument" "unknown argument 'now'" landfalld now
refuses "an unknown log level" "no log level 'loud'" "${landfalld[@]}" --log-level loud
refuses "a folder in no folder" 'cannot use .* as state folder' landfalld --state-dir "$KIT_TMP/a/b" \
    --runtime-dir "$runtime" --listen 0
mkdir "$KIT_TMP/open"
chmod 755 "$KIT_TMP/open"
refuses "A15: a state folder that others look into" 'others may look into it' landfalld \
    --state-dir "$KIT_TMP/open" --runtime-dir "$runtime" --listen 0
is "which is left as it was" "$(mode "$KIT_TMP/open") $(ls -A "$KIT_TMP/open")" '755 '
chmod 640 "$state/key"
refuses "A14: a key that others may read" 'may be read by others: its mode is 640' "${landfalld[@]}"
like "A14: and what to do" "$output" "hint: chmod 600 $state/key"
chmod 600 "$state/key"
mv "$state/key" "$KIT_TMP/key"
refuses "A14: a database without its key" 'cannot open the key' "${landfalld[@]}"
ok "A14: which may lie elsewhere" start_landfalld "${landfalld[@]}" --key-file "$KIT_TMP/key"
ends TERM
mkdir "$KIT_TMP/credentials"
cp "$KIT_TMP/key" "$KIT_TMP/credentials/landfall-key"
ok "A14: or come from the service manager" start_landfalld env CREDENTIALS_DIRECTORY="$KIT_TMP/credentials" \
    "${landfalld[@]}"
ends TERM
is "A14: no other key was made" "$(ls "$state")" "$(printf 'evidence\nlandfall.db\nlandfalld.lock')"

# --- who can look into it -----------------------------------------------------------------------

# As another user, since root may look into everything. The kernel gives the files of a process that
# is not dumpable to root.
mkdir "$KIT_TMP/nobody"
chown nobody "$KIT_TMP/nobody"
own=(setpriv --reuid nobody --regid nogroup --clear-groups)
if [ "$(id -u)" = 0 ]; then
    start_background "${own[@]}" sleep 60
    owned_by() {
        [ "$(stat -c %U "/proc/$KIT_PID/environ")" = "$1" ]
    }
    ok "a process of nobody's is nobody's" wait_for 20 owned_by nobody
    stop_process "$KIT_PID"
    ok "it starts as another user" start_landfalld "${own[@]}" "$(command -v landfalld)" --listen 0 \
        --state-dir "$KIT_TMP/nobody/state" --runtime-dir "$KIT_TMP/nobody/runtime"
    ok "A15: its memory is not for that user" owned_by root
    ends TERM
else
    skip "A15: its memory is not for its user" "needs root"
fi

# --- the service manager ------------------------------------------------------------------------

# What a service manager hears, a line each.
start_background perl -MIO::Socket::UNIX -e '
    $| = 1;
    my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die "$ARGV[0]: $!";
    print "$_\n" while defined $socket->recv($_, 4096);' "$KIT_TMP/notify"
heard=$KIT_LOG
wait_for 10 test -S "$KIT_TMP/notify"
ok "it starts as a service" start_landfalld env NOTIFY_SOCKET="$KIT_TMP/notify" WATCHDOG_USEC=300000 \
    "${landfalld[@]}" --key-file "$KIT_TMP/key"
service=$KIT_PID
ok "says that it is ready" wait_for 20 grep -qx READY=1 "$heard"
unlike "not that it ends" "$(cat "$heard")" STOPPING
many_watchdogs() {
    [ "$(grep -cx WATCHDOG=1 "$heard")" -ge 5 ]
}
ok "A16: feeds the watchdog" wait_for 20 many_watchdogs
# Somebody has the database locked, and the loop waits for it.
fed() {
    grep -cx WATCHDOG=1 "$heard" || true
}
coproc holder { exec sqlite3 "$state/landfall.db"; }
echo 'BEGIN IMMEDIATE; SELECT 1;' >&"${holder[1]}"
read -r <&"${holder[0]}"
start_background landfall --socket "$runtime/landfalld.sock" host add alpha test:///default
# It hangs once the command has reached it.
is_silent() {
    before=$(fed)
    sleep 1
    [ "$(fed)" = "$before" ]
}
ok "A16: not while the loop hangs" wait_for 20 is_silent
ok "the command waits, too" kill -0 "$KIT_PID"
printf 'ROLLBACK;\n.quit\n' >&"${holder[1]}"
ok "and then gets its answer" wait "$KIT_PID"
fed_again() {
    [ "$(fed)" -gt "$before" ]
}
ok "A16: but again afterwards" wait_for 20 fed_again
KIT_PID=$service
ends TERM
ok "and says that it ends" wait_for 20 grep -qx STOPPING=1 "$heard"
is "and how long that may take: jobs, and their clean-up" "$(sed -n 's/^EXTEND_TIMEOUT_USEC=//p' "$heard")" 140000000
done_testing
