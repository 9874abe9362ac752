#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each operation once as it is meant, on a host whose machine cannot be replicated, so that jobs end
# by themselves and soon; events as they happen; figures for Prometheus.
. "$(dirname "$0")/../kit/kit.sh"
. "$KIT_TOP/tests/api/api.sh"
requires jq curl python3 nc

field() { jq -r "$1" <<<"$answer"; }

api_start
answers "health" 200 nobody GET /healthz
answers "set-up" 201 nobody POST /api/v1/setup "{\"code\":\"$API_CODE\",\"password\":\"$API_PASSWORD\"}"
api_login
answers "who am I" 200 session GET /api/v1/session
answers "what there is" 200 session GET /api/v1/openapi.json
is "is the file" "$(jq -S . <<<"$answer")" "$(jq -S . appliance/api/openapi.json)"

# Whoever reads events from here on hears of what comes.
start_background curl -sN --max-time 600 --unix-socket "$API_SOCKET" http://s/api/v1/events
events=$KIT_LOG
start_background curl -sN --max-time 600 --unix-socket "$API_SOCKET" 'http://s/api/v1/events?topics=job'
job_events=$KIT_LOG
wait_for 5 grep -q retry "$events" "$job_events"

answers "a host" 201 session POST /api/v1/hosts '{"name":"t","uri":"test:///default","password":"gehe1m"}'
answers "the hosts" 200 session GET /api/v1/hosts
is_connected() { ask session GET /api/v1/hosts/t; [ "$(field .status)" = connected ]; }
ok "connects by itself" wait_for 10 is_connected
answers "another role" 200 session PATCH /api/v1/hosts/t '{"roles":"source","password":""}'
is "is taken" "$(field .roles)" source
answers "look again" 202 session POST /api/v1/hosts/t/refresh
answers "a store" 201 session POST /api/v1/stores "{\"name\":\"main\",\"path\":\"$KIT_TMP/store\"}"
has_room() { ask session GET /api/v1/stores/main; [ "$(field '.free_bytes > 0')" = true ]; }
ok "has room" wait_for 10 has_room
answers "the stores" 200 session GET /api/v1/stores

has_machine() { ask session GET '/api/v1/machines?host=t'; [ "$(field '.items | length')" = 1 ]; }
ok "there is a machine" wait_for 10 has_machine
machine=/api/v1/machines/$(field '.items[0].id')
answers "a page of one" 200 session GET '/api/v1/machines?limit=1'
is "tells what to ask for next" "$(field .next)" "${machine##*/}"
answers "the next page" 200 session GET "/api/v1/machines?limit=1&before=$(field .next)"
is "is the last" "$(field '[(.items | length), .next] | join(" ")')" "0 "
answers "by its name" 200 session GET '/api/v1/machines?name=test'
is "one" "$(field '.items | length')" 1
answers "none of another" 200 session GET '/api/v1/machines?name=fly'
is "none" "$(field '.items | length')" 0
answers "the machine" 200 session GET "$machine"
is "is not replicated" "$(field .state)" discovered
answers "its readiness" 200 session GET "$machine/readiness"
is "is none" "$(field .ready)" false
answers "for a store" 200 session GET "$machine/readiness?store=main"
answers "for no store" 404 session GET "$machine/readiness?store=fly"
answers "its recovery points" 200 session GET "$machine/recovery-points"
is "are none" "$answer" '{"items":[]}'
answers "no pause of what is not replicated" 404 session POST "$machine/pause"

for body in '{"store":"main","interval_s":1}' '{"store":"main","retain":-1}' '{"store":"main","blackout":["soon"]}' \
    '{"store":"main","exclude_disks":"vdb"}' '{"store":"main","interval_s":"1h"}' '{"retain":1}'; do
    answers "H4: settings that cannot be: $body" 400 session PUT "$machine/replication" "{\"force\":true,${body#?}"
done
answers "no such store" 404 session PUT "$machine/replication" '{"store":"fly"}'
answers "a machine that is not ready" 409 session PUT "$machine/replication" '{"store":"main"}'
like "why, and what to do" "$answer" 'not ready: host: .*not QEMU.*hint.*with force'
answers "replicate it all the same" 202 session PUT "$machine/replication" '{"force":true,"store":"main","interval_s":3600,"blackout":["Mon-Fri 08:00-18:00"]}'
job=/api/v1/jobs/$(field .job)
answers "twice" 409 session PUT "$machine/replication" '{"store":"main","force":true}'
answers "the settings" 200 session PATCH "$machine/replication" '{"retain":5,"interval_s":null}'
is "are taken" "$(field .retain)" 5
answers "the job" 200 session GET "$job"
has_failed() { ask session GET "$job"; [ "$(field .state)" = failed ]; }
ok "fails, as it has to" wait_for 20 has_failed
is "and says why" "$(field '.error | has("code") and has("message")')" true
answers "what happened in it" 200 session GET "$job/events"
answers "the jobs" 200 session GET '/api/v1/jobs?state=failed&limit=1'
is "are listed in pages" "$(field '.items | length') $(field '.next | type')" "1 number"
answers "of one machine" 200 session GET "/api/v1/jobs?machine=${machine##*/}&before=1000"
answers "a job that has ended" 409 session POST "$job/cancel"
answers "pause" 200 session POST "$machine/pause"
is "is paused" "$(field .state)" paused
answers "the machines in use" 200 session GET "$machine"
is "say so" "$(field .state)" paused
answers "no host that is used goes" 409 session DELETE /api/v1/hosts/t
answers "nor a store" 409 session DELETE /api/v1/stores/main
answers "resume" 200 session POST "$machine/resume"

# Somebody asks for events and takes none, until there are more than the daemon keeps for him.
lazy='import os, socket, sys, time
reader = socket.socket(socket.AF_UNIX)
reader.connect(sys.argv[1])
reader.sendall(b"GET /api/v1/events?topics=replication HTTP/1.1\r\nHost: s\r\n\r\n")
while not os.path.exists(sys.argv[2]):
    time.sleep(0.1)
while data := reader.recv(65536):
    sys.stdout.buffer.write(data)'
start_background /usr/bin/python3 -c "$lazy" "$API_SOCKET" "$KIT_TMP/awake"
lazy_pid=$KIT_PID lazy_log=$KIT_LOG
for retain in 6 7; do
    curl -s -o "$KIT_TMP/patched" --unix-socket "$API_SOCKET" -X PATCH -H 'Content-Type: application/json' \
        -d "{\"retain\":$retain}" "http://s$machine/replication#[1-700]"
done
is "H11: events that nobody takes hold nobody up" "$(jq .retain "$KIT_TMP/patched")" 7
touch "$KIT_TMP/awake"
ok "H11: a client that is too slow is let go" wait_for 60 process_is_gone "$lazy_pid"
like "H11: and told" "$(tr -d '\r' <"$lazy_log" | tail -n 8)" 'event: dropped'
is "H11: after all that was kept for him, in order" "$(sed -n 's/^id: //p' "$lazy_log" | sort -nc 2>&1)" ""

answers "a cycle now" 202 session POST "$machine/sync"
has_no_job() { ask session GET '/api/v1/jobs?state=running'; [ "$answer" = '{"items":[]}' ]; }
ok "ends as well" wait_for 20 has_no_job
# On a host that takes the connection and says nothing, a cycle has to be waited for.
start_background nc -lkU "$KIT_TMP/hung"
hung=$KIT_PID
answers "another way to the host" 200 session PATCH /api/v1/hosts/t "{\"uri\":\"qemu+unix:///system?socket=$KIT_TMP/hung\"}"
answers "a cycle that hangs" 202 session POST "$machine/sync"
job=/api/v1/jobs/$(field .job)
answers "cancel" 202 session POST "$job/cancel"
stop_process "$hung"
has_been_cancelled() { ask session GET "$job"; [ "$(field .state)" = cancelled ]; }
ok "is cancelled" wait_for 20 has_been_cancelled
answers "the way as it was" 200 session PATCH /api/v1/hosts/t '{"uri":"test:///default"}'
answers "prove" 202 session POST "$machine/verify" '{"recovery_point":null}'
answers "alerts" 200 session GET /api/v1/alerts
answers "the settings of all" 200 session GET /api/v1/settings
answers "change them" 200 session PATCH /api/v1/settings '{"retain":9}'
is "changed" "$(field .retain)" 9
answers "the audit" 200 session GET '/api/v1/audit?limit=2'
answers "on from there" 200 session GET "/api/v1/audit?limit=2&before=$(field .next)"

# --- targets --------------------------------------------------------------------------------------

answers "no targets" 200 session GET /api/v1/targets
is "are there" "$answer" '{"items":[]}'
answers "no such host" 404 session PUT /api/v1/targets/fly '{}'
answers "a target" 200 session PUT /api/v1/targets/t '{"networks":{"br0":"lan"},"pool":"fast","machine":{"cpus":2}}'
is "disks for a pool are brought there" "$(field .reach)" nbd
answers "another one in its place" 200 session PUT /api/v1/targets/t '{"store_path":"/mnt/store","pool":"fast","test_network":null}'
is "the store is seen there" "$(field '"\(.reach) \(.store_path) \(.networks | length) \(.machine | length)"')" 'path /mnt/store 0 0'
answers "the target" 200 session GET /api/v1/targets/t
answers "the targets" 200 session GET /api/v1/targets
is "is one" "$(field '.items[].host')" t
answers "goes" 204 session DELETE /api/v1/targets/t
answers "is none any more" 404 session GET /api/v1/targets/t
answers "operations" 200 session GET '/api/v1/operations?kind=migrate&open=true&limit=5'
answers "tests of it" 200 session GET "$machine/tests"

# --- figures ------------------------------------------------------------------------------------

answers "figures" 200 session GET /metrics
printf '%s\n' "$answer" >"$KIT_TMP/metrics"
/usr/bin/python3 - "$KIT_TMP/metrics" >"$KIT_TMP/samples" <<'END'
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(open(sys.argv[1]).read()):
    for sample in family.samples:
        print(sample.name, sorted(sample.labels.items()), sample.value, family.type)
END
for sample in "landfall_hosts .*connected.* 1.0 gauge" "landfall_machines .* 1.0 gauge" \
    "landfall_jobs_total .*cycle.*failed.* [1-9].* counter" "landfall_http_requests_total .*GET.*200.* counter" \
    "landfall_store_free_bytes .*main.* [1-9].* gauge" "landfall_jobs_running" "landfall_scheduler_late_seconds"; do
    like "a parser reads $sample" "$(<"$KIT_TMP/samples")" "$sample"
done

# --- the end of it ------------------------------------------------------------------------------

answers "stop" 202 session DELETE "$machine/replication?keep_replica=true"
answers "a token" 201 session POST /api/v1/tokens '{"name":"ci"}'
answers "goes" 204 session DELETE "/api/v1/tokens/$(field .id)"
answers "the tokens" 200 session GET /api/v1/tokens
answers "an account" 201 session POST /api/v1/accounts '{"name":"eve","password":"a viewer of little"}'
answers "changes" 200 session PATCH /api/v1/accounts/eve '{"role":"operator"}'
answers "goes" 204 session DELETE /api/v1/accounts/eve
answers "the accounts" 200 session GET /api/v1/accounts
answers "another host" 201 session POST /api/v1/hosts '{"name":"u","uri":"test:///default"}'
answers "goes" 204 session DELETE /api/v1/hosts/u
answers "another store" 201 session POST /api/v1/stores "{\"name\":\"other\",\"path\":\"$KIT_TMP/other\"}"
answers "goes" 204 session DELETE /api/v1/stores/other

# --- events -------------------------------------------------------------------------------------

for topic in host machine replication job; do
    ok "H11: an event of $topic came" grep -q "^event: $topic\$" "$events"
done
is "H11: only those asked for" "$(grep '^event: ' "$job_events" | sort -u)" 'event: job'
ok "H11: each has a number" test "$(grep -c '^event: ' "$events")" -eq "$(grep -c '^id: ' "$events")"
is "each is one line of JSON" "$(sed -n 's/^data: //p' "$events" | jq -c type | sort -u)" '"object"'
is "jobs look as they do when asked for" "$(sed -n 's/^data: //p' "$job_events" | jq -rs '.[0] | .kind')" cycle
# Others may come while this is looked at.
grep '^id: ' "$events" >"$KIT_TMP/ids"
last=$(tail -n 4 "$KIT_TMP/ids" | head -n 1)
again() { curl -sN --max-time 3 --unix-socket "$API_SOCKET" -H "Last-Event-ID: $1" http://s/api/v1/events || true; }
is "H11: whoever comes back gets what he missed" "$(again "${last#id: }" | grep '^id: ' | head -n 3)" "$(tail -n 3 "$KIT_TMP/ids")"
like "H11: or is told that it is gone" "$(again 7)" 'event: reset'
answers "log out" 204 session DELETE /api/v1/session
ask root GET /api/v1/events '' --max-time 1
like "an event stream is one" "$headers" 'Content-Type: text/event-stream'
# The answer of a stream has no end, and curl gave up on it.
printf 'GET /api/v1/events 200\n' >"$KIT_TMP/asked/$api_asked.line"
like "the daemon ends while somebody reads" "$(stop_process "$LANDFALLD_PID" && echo ended)" ended
ok "H1: every operation has answered as openapi.json says" api_answers_fit "$API_OTHERS"
done_testing
