#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The operations of the API that test and move machines: each answers as openapi.json says, and refuses
# what cannot be. The machine is a tiny one that finds nothing to boot; the target is a second host.
. "$(dirname "$0")/../appliance/daemon.sh"
. "$KIT_TOP/tests/api/api.sh"
requires curl python3

field() {
    jq -rc "$1" <<<"$answer"
}

# With a screen, and with processors that run.
for name in web db; do
    tiny_define "$name"
    virsh -q destroy "$name"
    virsh dumpxml "$name" --inactive | sed 's#</devices>#<video><model type="vga"/></video></devices>#' >"$KIT_TMP/$name.xml"
    virsh -q define "$KIT_TMP/$name.xml" && virsh -q start "$name"
done
libvirtd_start_other there
api_start
api_people
ask root POST /api/v1/hosts "{\"name\":\"here\",\"uri\":\"$LIBVIRT_DEFAULT_URI\"}"
ask root POST /api/v1/hosts "{\"name\":\"there\",\"uri\":\"$LIBVIRT_OTHER_URI\"}"
ask root POST /api/v1/stores "{\"name\":\"main\",\"path\":\"$KIT_TMP/store\"}"
# replicate_it NAME: sets machine.
has_machine() { ask root GET "/api/v1/machines?name=$1"; [ "$(field '.items | length')" = 1 ]; }
is_begun() { ask root PUT "$machine/replication" '{"store":"main","interval_s":86400}'; [ "$code" = 202 ]; }
has_point() { ask root GET "$machine"; [ "$(field '.replication.last_point // 0')" -gt 0 ]; }
replicate_it() {
    ok "there is a machine $1" wait_for 30 has_machine "$1"
    machine=/api/v1/machines/$(field '.items[0].id')
    ok "$1 is replicated" wait_for 30 is_begun
    ok "$1 has a recovery point" wait_for 60 has_point
}
replicate_it web

# begin NAME PATH [BODY]: a job of the machine's, which is waited for; its state is what the name says.
is_over() { ask operator GET "$1"; [[ $(field .state) != queued && $(field .state) != running ]]; }
begin() {
    answers "$1" 202 operator POST "$machine/$2" "${3-}"
    operation=/api/v1/operations/$(field .operation)
    job=/api/v1/jobs/$(field .job)
    ok "$1: is over" wait_for 120 is_over "$job"
}

# --- what is refused ----------------------------------------------------------------------------

answers "no target yet" 400 operator POST "$machine/test-migrate"
like "it says how to make one" "$answer" 'landfall target set'
answers "a target" 200 operator PUT /api/v1/targets/there "{\"store_path\":\"$KIT_TMP/store\"}"
while read -r path body; do
    answers "F51: $path $body" 400 operator POST "$machine/$path" "$body"
done <<'END'
test-migrate {"target":5}
test-migrate {"recovery_point":"latest"}
test-migrate {"recovery_point":-1}
test-migrate {"network":["a"]}
test-migrate {"name_suffix":1}
test-migrate {"name_suffix":"/../"}
test-migrate {"memory_mib":0}
test-migrate {"wait_s":"long"}
test-migrate {"wait_s":0}
test-migrate {"probes":"agent"}
test-migrate {"probes":["agent"]}
test-migrate {"probes":[{"kind":"fly"}]}
test-migrate {"probes":[{"kind":"tcp"}]}
test-migrate {"probes":[{"kind":"tcp","port":70000}]}
test-migrate {"probes":[{"kind":"console"}]}
test-migrate {"probes":[{"kind":"console","pattern":"("}]}
test-migrate {"probes":[{"kind":"http","url":"file:///etc/shadow"}]}
test-migrate {"cleanup_after_s":-1}
test-cleanup {"test":"all"}
migrate {"shutdown":"no"}
migrate {"shutdown_deadline_s":-1}
migrate {"on_deadline":"wait"}
migrate {"final_pass_s":"short"}
migrate {"max_passes":-1}
migrate {"verify":"little"}
migrate {"on_failure":"fly"}
migrate {"at":"soon"}
migrate {"at":"2020-01-01T00:00:00Z"}
migrate {"commit_after_s":-5}
migrate {"rollback_unless":"perhaps"}
migrate {"require_test_days":"7"}
migrate/plan {"verify":7}
rollback {"keep_disks":"yes"}
rollback {"deadline_s":-1}
rollback {"abandon_target":"yes"}
complete {"disks":"burn"}
complete {"copy_mib_s":-1}
complete {"abandon":"yes"}
END
while read -r body; do
    answers "F51: rehearsal $body" 400 operator PUT "$machine/rehearsal" "$body"
done <<'END'
{}
{"interval_days":0,"time":"03:00"}
{"interval_days":1,"weekday":2,"time":"03:00"}
{"weekday":7,"time":"03:00"}
{"weekday":1,"time":"3 o'clock"}
{"weekday":1,"time":"25:00"}
{"weekday":1,"time":"03:00","options":{"fly":1}}
{"weekday":1,"time":"03:00","options":{"wait_s":"x"}}
END
answers "no such target" 404 operator POST "$machine/test-migrate" '{"target":"fly"}'
answers "no such test" 404 operator POST "$machine/test-cleanup" '{"test":77}'
for verb in confirm rollback complete; do
    answers "no move to $verb" 404 operator POST "$machine/$verb"
done
answers "F51: nothing has begun" 200 viewer GET "/api/v1/operations?machine=${machine##*/}"
is "F51: nothing has begun: none" "$(field '.items | length')" 0

# --- a test -------------------------------------------------------------------------------------

begin "no such recovery point" test-migrate '{"recovery_point":77}'
is "no such recovery point: fails" "$(field '"\(.state) \(.error.code)"')" "failed config"
begin "a test" test-migrate '{"wait_s":60,"probes":[{"kind":"power","seconds":1}]}'
is "a test: passes" "$(field .state)" 'done'
answers "F53: it is shown" 200 viewer GET "$operation"
is "F53: with all steps" "$(field '[.steps[] | .state] | unique | join(" ")')" 'done'
is "F53: and its verdict" "$(field '"\(.state) \(.verdict)"')" "live passed"
like "F53: and what to do next" "$(field .next)" 'landfall test-cleanup web'
test=$operation
answers "its screen" 200 viewer GET "$operation/screenshot"
like "is a PNG" "$(file -b "$KIT_TMP/asked/$api_asked.body")" 'PNG image'
answers "tests" 200 viewer GET "$machine/tests?limit=1"
is "are listed" "$(field '.items[].id')" "${operation##*/}"
begin "it goes" test-cleanup "{\"test\":${operation##*/}}"
is "it goes: done" "$(field .state)" 'done'
answers "F53: it is over" 200 viewer GET "$test"
is "F53: and says so" "$(field .state)" 'done'
answers "a rehearsal" 200 operator PUT "$machine/rehearsal" '{"weekday":5,"time":"03:00","options":{"wait_s":60}}'
answers "is kept" 200 viewer GET "$machine/rehearsal"
like "comes at its time" "$(field .next_at)" '^20.*Z$'
answers "goes" 204 operator DELETE "$machine/rehearsal"

# --- a move -------------------------------------------------------------------------------------

force='{"shutdown_deadline_s":1,"on_deadline":"force","probes":[{"kind":"power","seconds":1}]}'
begin "a plan" migrate/plan "$force"
diag "$(field '.error // .result.verdict')"
is "a plan: is made" "$(field '.result | has("checks") and has("diff") and has("downtime")')" true
begin "a move" migrate "$force"
[ "$(field .state)" = 'done' ] || diag "$answer"
is "a move: is made" "$(field .state)" 'done'
answers "F53: it is shown" 200 viewer GET "$operation"
is "F53: it runs there" "$(field .state)" live
answers "it stays" 200 operator POST "$machine/confirm"
answers "a second one" 409 operator POST "$machine/migrate" "$force"
begin "the way back" rollback '{"deadline_s":1}'
is "the way back: is made" "$(field .state)" 'done'
begin "a move again" migrate "$force"
is "a move again: is made" "$(field .state)" 'done'
begin "for good" complete '{"disks":"keep"}'
[ "$(field .state)" = 'done' ] || diag "$answer"
is "for good: is done" "$(field .state)" 'done'
replicate_it db
begin "another move" migrate "$force"
begin "turned round" reverse
is "turned round: is done" "$(field .state)" 'done'
move=/api/v1/operations/$(ask viewer GET '/api/v1/operations?kind=migrate&limit=1'; field '.items[0].id')
answers "its report" 200 viewer GET "$move/report"
is "F53: has the times of it" "$(field '.timeline | map(.step) | contains(["shutdown", "start"])')" true
answers "as a page" 200 viewer GET "$move/report?format=html"
like "F53: of its own" "$headers" '[Cc]ontent-[Tt]ype: text/html'
answers "no other form" 400 viewer GET "$move/report?format=pdf"
answers "what there was" 200 viewer GET '/api/v1/operations?kind=migrate&limit=1'
is "is listed in pages" "$(field '.items | length') $(field '.next | type')" "1 number"
ok "H1: every operation has answered as openapi.json says" api_answers_fit "$API_MOVES"
done_testing
