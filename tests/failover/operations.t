#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the daemon makes of steps that fail, of daemons that end, of two who want the same, and of time:
# small machines whose disks hold nothing, and the real steps on two libvirt hosts. Between the daemon
# and its steps stands a script that lets the ones it is told fail.
. "$(dirname "$0")/../appliance/daemon.sh"
. "$(dirname "$0")/../kit/remote.sh"

# --- the script in between ----------------------------------------------------------------------

mkdir "$KIT_TMP/bin"
cp "$(command -v landfalld)" "$KIT_TMP/bin/landfalld"
broken=$KIT_TMP/broken
cat >"$KIT_TMP/bin/landfall" <<END
#!/bin/bash
if [ "\$1" = failover-step ] && grep -qx "\$2" "$broken" 2>/dev/null; then
    read -r
    echo '{"event":"error","code":"source","message":"made to fail","hint":"mend it"}'
    exit 1
fi
exec "$(command -v landfall)" "\$@"
END
chmod +x "$KIT_TMP/bin/landfall"
PATH=$KIT_TMP/bin:$PATH

# breaks STEP…: those fail from now on; none: all is well again.
breaks() {
    printf '%s\n' "$@" >"$broken"
}

# --- what is there ------------------------------------------------------------------------------

here_is() { # STATE: of the machine at the source
    [ "$(virsh domstate web)" = "$1" ]
}
there() {
    virsh -c "$LIBVIRT_OTHER_URI" "$@"
}
there_is() {
    [ "$(there domstate "${2:-web}" 2>/dev/null)" = "$1" ]
}
idle() {
    state_is "SELECT count(*) FROM job WHERE state = 'running'" 0
}
word() {
    state "SELECT state FROM replication"
}
# last KIND COLUMN
last() {
    state "SELECT $2 FROM failover WHERE kind = '$1' ORDER BY id DESC LIMIT 1"
}
steps() {
    state "SELECT group_concat(step, ' ') FROM (SELECT step FROM failover_step
        WHERE failover = (SELECT max(id) FROM failover) ORDER BY seq)"
}
raised() {
    state "SELECT group_concat(kind) FROM alert WHERE state = 'raised'"
}
move() {
    run landfall migrate web --yes --target there --on-deadline force --shutdown-deadline 1 \
        --probe power=1 --follow "$@"
}
back() {
    run landfall rollback web --yes --deadline 1s --follow
    wait_for 30 idle
}

daemon_start
remote_start there
landfall host add there "$REMOTE_URI" --ssh-key-file "$remote_key" >/dev/null
tiny_define web 4M
tiny_write web 0 1M 0x11
virsh -q resume web
replicate web >/dev/null
wait_for 30 state_is "SELECT last_point FROM replication" 1
run landfall migrate web --yes
like "there is no target yet" "$output" 'no host is a target'
landfall target set there >/dev/null

# --- tests --------------------------------------------------------------------------------------

breaks watch
run landfall test-migrate web --probe power=1 --follow
is "F7: a test that fails" "$status $(last test "state || ' ' || verdict")" "1 failed failed"
is "F7: leaves nothing" "$(there list --all --name | xargs)" ""
breaks
run landfall test-migrate web --probe power=1 --cleanup-after 1s --follow
is "a test that passes" "$status $(last test verdict)" "0 passed"
ok "F7: is cleaned up at its time" wait_for 30 state_is \
    "SELECT state FROM failover WHERE kind = 'test' ORDER BY id DESC LIMIT 1" "done"
is "and leaves nothing" "$(there list --all --name | xargs)" ""

other=$(landfall machine list --json | jq -r 'first(.items[] | select(.name == "web-test")).uuid')
run landfall report "$other" --operation 1
like "a report is of the machine that one names" "$status $output" '^2 .*operation 1 is one of machine web, not of '

# --- a move that waits for its time -------------------------------------------------------------

landfall migrate web --yes --target there --at +2h >"$KIT_TMP/log"
job=$(last migrate job)
is "a move that waits tells when it begins" \
    "$(landfall operation show "$(last migrate id)" --json | jq -c '[.state, .at[:19] == .options.at[:19]]')" '["waiting",true]'
run landfall migrate web --yes
like "F5: another one hears of it, and how to end it" "$output" "landfall job cancel $job"
if [ -n "${LANDFALL_LONG:-}" ]; then
    run timeout 75 landfall job follow "$job"
    is "who follows it goes on while nothing happens" "$status" 124
fi
wait_for 30 idle
landfall job cancel "$job" >"$KIT_TMP/log"
ok "it does not begin" wait_for 30 state_is "SELECT state FROM failover WHERE kind = 'migrate'" cancelled

# --- a move that fails --------------------------------------------------------------------------

breaks define
move
like "F3: a move that fails says why" "$output" 'made to fail.*mend it'
is "F3: and is undone" "$(last migrate state) $(word)" "failed replicating"
ok "F3: the source runs again" here_is running
is "F3: back in an order that never lets two run" "$(steps)" \
    "preflight lease passes shutdown final fence pin clone define undefine unfence start-source remove-clone unpin release"
is "and somebody is told" "$(raised)" migrate-failed

breaks define start-source
move
is "F6: what goes neither on nor back is stuck" "$(last migrate state)" stuck
like "F6: and says what to type" "$output" 'mend it; then landfall rollback web'
ok "nothing runs" here_is 'shut off'
is "a guest that was switched off is crash-consistent" \
    "$(landfall recovery-point list web --json | jq -r '.items | max_by(.number).consistency')" crash
landfall migrate web --yes --target there --on-deadline force --shutdown-deadline 1 --probe power=1 >/dev/null
is "F6: the same command again waits for the way back, not for a time" \
    "$(landfall operation show "$(last migrate id)" --json | jq -c '[.state, has("at")]')" '["waiting",false]'
breaks
run landfall job follow "$(last migrate job)"
is "F6: the same command again" "$status $(last migrate state) $(word)" "0 live migrated"
ok "one runs" there_is running
ok "and one does not" here_is 'shut off'
is "what was wrong is not any more" "$(raised)" ""

# --- one at a time ------------------------------------------------------------------------------

run landfall sync web
like "F4: a machine that has moved is not replicated by anybody" "$output" 'is migrated'
run landfall cycle --host "$LIBVIRT_DEFAULT_URI" --machine web --store "$daemon_store"
like "F4: nor from elsewhere" "$output" 'the machine is being moved: migrate .operation'
run landfall migrate web --yes
like "F5: a second move hears of the first" "$output" 'migrate .job [0-9]+. by socket:root has moved'
landfalld_start e
other=(landfall --socket "$KIT_TMP/e-run/landfalld.sock")
"${other[@]}" host add local "$LIBVIRT_DEFAULT_URI" >/dev/null
"${other[@]}" store add main "$daemon_store" >/dev/null
run wait_for 20 "${other[@]}" replicate web --store main
ok "F5: another daemon's cycle hears of it, too" wait_for 20 eval \
    "${other[*]} job list | grep -q 'the machine is being moved: migrate'"
stop_process "$LANDFALLD_PID" TERM

virsh -q start web 2>/dev/null
ok "F9: a source that runs, too" wait_for 20 eval '[[ "$(raised)" = fenced-running ]]'
virsh -q destroy web

breaks undefine
back
is "F6: a way back that fails" "$(last rollback state) $(last migrate state) $(raised)" \
    "failed stuck rollback-failed"
ok "F2: lets nothing run before the target is rid of it" here_is 'shut off'
breaks
back
is "F6: and again" "$status $(last rollback state) $(word)" "0 done replicating"
ok "the source runs again" here_is running
is "nothing is left there" "$(there list --all --name | xargs)$(raised)" ""

# --- by itself, over restarts -------------------------------------------------------------------

move --commit-after 2s
daemon_stop
state "UPDATE failover SET ended_us = 1 WHERE ended_us IS NOT NULL"
touch "$KIT_TMP/d/evidence/1.png"
daemon_start
ok "F8: what nobody confirms goes back" wait_for 30 state_is \
    "SELECT state FROM replication" rolling-back
there -q destroy web # its guest would not hear of a shutdown for a minute
ok "F8: and is back" wait_for 30 eval \
    '[ "$(word)" = replicating ] && here_is running'
ok "old tests are forgotten" wait_for 30 state_is "SELECT group_concat(id) FROM failover WHERE kind = 'test'" 2
fails "with their screenshots" test -e "$KIT_TMP/d/evidence/1.png"
move --commit-after 5s --rollback-unless probes
ok "F8: what is well stays" wait_for 30 state_is "SELECT state FROM failover WHERE kind = 'check'" \
    "done"
is "and is confirmed" "$(last migrate "state || coalesce(due_us, '')")" live

# --- the other way round ------------------------------------------------------------------------

run landfall reverse web --yes --follow
is "the roles are turned" "$status $(last migrate state)" "0 done"
uuid=$(virsh domuuid web)
ok "a recovery point of the machine there" wait_for 60 state_is "SELECT last_point >
    (SELECT recovery_point FROM failover WHERE kind = 'reverse') FROM replication" 1
is "of the machine there" "$(state "SELECT host || uuid FROM machine JOIN replication
    ON machine.id = machine")" "there$uuid"
run landfall store verify "$daemon_store" web
like "which is proven" "$output" 'proven'
ok "the machine there runs" there_is running

done_testing
