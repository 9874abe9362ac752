#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Cycles that are told to end, killed, steered or left alone by their parent: a cancel is quick and
# leaves nothing that counts, and what a first cycle had copied is not sent again.

. "$(dirname "$0")/cycles.sh"

disk=$KIT_TMP/vda.raw
MIB=$((1 << 20))
size=$((24 * MIB))
truncate -s $size "$disk"
random_bytes "$disk" 0 $size
# Not nbdkit: the one of Debian 12 aborts (raw_send_socket) when a client with reads in flight dies.
start_qemu_nbd "$KIT_TMP/vda.sock" -r -f raw "$disk"
vda=(--disk "vda=$KIT_URI")
uri=$KIT_URI

has_sent() {
    [ "$(event progress .sent_bytes)" -ge "$1" ]
}

cancelled() {
    is "$1: status" "$status" 1
    is "$1: code" "$(event error .code)" cancelled
    ok "$1: quick ($took_ms ms)" [ $took_ms -lt 2000 ]
}

# --- the first cycle ----------------------------------------------------------------------------

begin_cycle "${vda[@]}" --bandwidth 4
ok "the first cycle is under way" wait_for 20 has_sent $((6 * MIB))
kill -TERM $child
end_cycle
cancelled "first cycle, SIGTERM"
is "first cycle, SIGTERM: no recovery point" "$(recovery_points)" ""

begin_cycle "${vda[@]}" --bandwidth 4
ok "the next one is under way" wait_for 20 has_sent $((4 * MIB))
kill -KILL $child
end_cycle
is "first cycle, SIGKILL: status" "$status" 137
is "first cycle, SIGKILL: no recovery point" "$(recovery_points)" ""

random_bytes "$disk" 0 65536
keep_copy 1 vda "$disk"
commits "the third goes on" "${vda[@]}"
is "the third: mode" "$(figure vda mode)" initial
is "the third: reads the source" "$(figure vda read_bytes)" $size
ok "the third: sends what is missing" [ "$(figure vda sent_bytes)" -le $((16 * MIB)) ]
ok "the third: the copy" all_points_are_copies 1

# --- a later cycle ------------------------------------------------------------------------------

random_bytes "$disk" $((10 * MIB)) $((12 * MIB))
before=$(listing | sed -E '/ d |disks\/vda \//d' | grep -v '^d ')
begin_cycle "${vda[@]}" --bandwidth 8
ok "a later cycle is under way" wait_for 20 has_sent $MIB
kill -INT $child
end_cycle
cancelled "later cycle, SIGINT"
is "later cycle, SIGINT: no file is left or touched" \
    "$(listing | sed -E '/ d |disks\/vda \//d' | grep -v '^d ')" "$before"

# At any instant: it has succeeded or was cancelled, in these words and no other.
seed=${LANDFALL_SEED:-$RANDOM}
RANDOM=$seed
diag "LANDFALL_SEED=$seed"
other=0
for ((i = 0; i < 25; i++)); do
    begin_cycle "${vda[@]}"
    sleep "0.$(printf %03d $((RANDOM % 120)))"
    kill -TERM $child 2>/dev/null || true
    end_cycle
    case "$status $(event error .code) $(event result .event)" in
    "0  result" | "1 cancelled " | "143  ") ;; # 143: before the program had its handler
    *)
        other=$((other + 1))
        diag "status $status" <"$EVENTS"
        tail -n 2 "$EVENTS" | diag
        ;;
    esac
done
is "cancelled at any instant: no other outcome" $other 0
last=$(recovery_points)
last=${last##* }
commits "after all of these" "${vda[@]}"
ok "after all of these: the copy" point_is $((last + 1)) vda "$disk"
is "nothing is left over" "$(leftovers)" ""

# A server outlives the cancel of its client: the answers on their way are awaited.
start_nbdkit "$KIT_TMP/slow.sock" --filter=delay file "$disk" rdelay=30ms
slow_server=$KIT_PID
MACHINE=m5
for ((i = 0; i < 12; i++)); do
    begin_cycle --disk "vda=$KIT_URI"
    sleep 0.25
    kill -TERM $child 2>/dev/null || true
    end_cycle
done
ok "nbdkit serves after a dozen cancels" kill -0 "$slow_server"
cycle --disk vda="$KIT_URI"
is "and is read" "$status" 0
stop_process "$slow_server"

# --- work and control over standard input -------------------------------------------------------

MACHINE=m2
rm -f "$KIT_TMP/control"
mkfifo "$KIT_TMP/control"
landfall-replicate --stdin <"$KIT_TMP/control" >"$EVENTS" 2>"$EVENTS.stderr" &
child=$!
exec 7>"$KIT_TMP/control"
jq -cn --arg store "$STORE" --arg uri "$uri" '{version: 1, store: $store, machine: "m2",
    machine_name: "Web Server", consistency: "filesystem", checkpoint: "landfall-7", bandwidth: 524288,
    describe: {domain_xml: "<domain/>", name: "is not taken"},
    disks: [{name: "vda", uri: $uri, demotion_cause: "checkpoint-gone", demotion_detail: "why"}]}' >&7
ok "slow to begin with" wait_for 20 has_sent 65536
echo 'what is this' >&7
echo '{"bandwidth": "fast"}' >&7
begun=$(kit_now)
echo '{"bandwidth": 0}' >&7
end_cycle
is "work from standard input" "$status" 0
ok "the limit is taken off while it runs" [ $(($(kit_now) - begun)) -lt 10000000 ]
exec 7>&-
ok "work from standard input: the copy" point_is 1 vda "$disk"
is "machine.json" "$(jq -c '[.version, .machine, .name, .domain_xml]' "$STORE/m2/machine.json")" \
    '[2,"m2","Web Server","<domain/>"]'
is "the manifest" "$(jq -c '[.machine_name, .consistency, .checkpoint]' "$(manifest 1)")" \
    '["Web Server","filesystem","landfall-7"]'

from_stdin() {
    status=0
    printf '%s\n' "$1" | landfall-replicate --stdin >"$EVENTS" 2>"$EVENTS.stderr" || status=$?
}
work() {
    jq -cn --arg store "$STORE" --arg uri "$uri" "{version: 1, store: \$store, machine: \"m2\",
        disks: [{name: \"vda\", uri: \$uri}]} | $1"
}
# The cause of a demotion that the caller knows goes into the manifest; a bitmap that does not count
# from the latest recovery point is not taken.
from_stdin "$(work '.disks[0].demotion_cause = "checkpoint-gone" | .disks[0].demotion_detail = "why"')"
is "the caller's cause" "$(figure vda demotion_cause) $(figure vda demotion_detail)" "checkpoint-gone why"
from_stdin "$(work '.disks[0].bitmap = "qemu:dirty-bitmap:x" | .bitmap_since = "landfall-1"')"
is "R6: a bitmap since elsewhere" "$(figure vda demotion_cause)" checkpoint-mismatch

for case in '.version = 2|1|unsupported|version 2' \
    '.store = 7|2|config|store' \
    'del(.store)|2|config|store' \
    'del(.machine)|2|config|machine' \
    '.machine = "../m"|2|config|\.\./m' \
    'del(.disks)|2|config|disks' \
    '.disks = []|2|config|disk' \
    '.disks += .disks|2|config|vda is named twice' \
    '.disks[0].name = "../vda"|2|config|\.\./vda' \
    '.disks[0].uri = "http://x/"|2|config|http://x/' \
    '.disks[0].command = "nc"|2|config|command' \
    '.retain = -1|2|config|retain' \
    '.retain = 99999999999|2|config|retain' \
    '.consistency = "none"|2|config|none'; do
    IFS='|' read -r filter expected code words <<<"${case/ |/|}"
    from_stdin "$(work "$filter")"
    is "$filter" "$status $(event error .code)" "$expected $code"
    like "$filter: message" "$(event error .message)" "$words"
done
from_stdin '{"version": 1'
is "no JSON" "$status $(event error .code)" "2 config"
status=0
landfall-replicate --stdin </dev/null >"$EVENTS" || status=$?
is "no work" "$status $(event error .code)" "2 config"
is "recovery points of the good ones" "$(recovery_points)" "1 2 3"

# --- parents ------------------------------------------------------------------------------------

MACHINE=m3
cat >"$KIT_TMP/parent" <<'END'
landfall-replicate --parent $$ "$@" >"$EVENTS.orphan" &
echo $! >"$EVENTS.pid"
wait
END
EVENTS=$EVENTS bash "$KIT_TMP/parent" --store "$STORE" --machine m3 "${vda[@]}" --bandwidth 1 &
parent=$!
EVENTS=$EVENTS.orphan
ok "a child of a parent" wait_for 20 has_sent 65536
EVENTS=${EVENTS%.orphan}
child=$(cat "$EVENTS.pid")
kill -KILL $parent
wait $parent 2>/dev/null || true
ok "ends with its parent" wait_for 5 process_is_gone "$child"
is "says why" "$(tail -n 1 "$EVENTS.orphan" | jq -r .code)" cancelled
cycle "${vda[@]}" --parent 1
is "a parent that is not there: status" "$status $(event error .code)" "1 cancelled"

# --- a second process ---------------------------------------------------------------------------

begin_cycle "${vda[@]}" --bandwidth 1
holder=$child
ok "the holder is under way" wait_for 20 has_sent 65536
EVENTS=$EVENTS.second
begun=$(kit_now)
cycle "${vda[@]}"
refused "a second process" 1 conflict "$STORE/m3/lock is held by process $holder \(landfall-replicate\) on $(hostname)"
ok "a second process does not wait for long" [ $(($(kit_now) - begun)) -lt 4000000 ]
EVENTS=${EVENTS%.second}
child=$holder
kill -TERM $child
end_cycle
cancelled "the holder"
done_testing
