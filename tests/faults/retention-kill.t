#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Cycles with retention that are killed right before their n-th fsync, write, rename, unlink and so
# on, for every n (a sample; LANDFALL_LONG=1: all): merges are left between any two steps. The
# recovery points are whole, the next retention ends as if nothing had been; and while somebody
# reads a recovery point, it and all it needs stay.

. "$(dirname "$0")/fault-store.sh"

SAMPLE=${LANDFALL_SAMPLE:-24}
CALLS=(fsync fdatasync pwrite64 rename unlink ftruncate fallocate flock mkdir openat io_uring_enter)

# strace does not deliver signals with --seccomp-bpf.
kill_at() {
    { traced -e trace="$1" -e inject="$1:signal=KILL:when=$2"; } 2>"$KIT_TMP/killed"
}

# killed CALL N: a cycle in $STORE killed there; says what is wrong with what it left.
killed() {
    kill_at "$1" "$2"
    [ "$status" -eq 137 ] || return 0 # in another thread the n-th may be another call
    hit=$((hit + 1))
    if [ "$(recovery_points)" != "1 2 3" ]; then committed=$((committed + 1)); fi
    points_may_be 137 && points_are_right && heals
}

fault_template
hit=0 committed=0 wrong=0
for kind in first delta; do
    fault_store $kind
    list_calls "${CALLS[@]}" | sed "s/^/$kind /"
done >"$KIT_TMP/calls"
if [ -n "${LANDFALL_LONG:-}" ]; then
    cp "$KIT_TMP/calls" "$KIT_TMP/sample"
else
    seq "$seed" $((seed + 20000)) >"$KIT_TMP/random"
    # The merges come last: most of the sample is theirs.
    grep '^delta' "$KIT_TMP/calls" |
        shuf -n "$SAMPLE" --random-source="$KIT_TMP/random" >"$KIT_TMP/sample"
    grep '^first' "$KIT_TMP/calls" |
        shuf -n $((SAMPLE / 4)) --random-source="$KIT_TMP/random" >>"$KIT_TMP/sample"
fi
while read -r kind call n; do
    fault_store "$kind"
    killed "$call" "$n" >"$KIT_TMP/problem" || {
        wrong=$((wrong + 1))
        diag "$kind cycle killed at $call number $n: $(cat "$KIT_TMP/problem")"
    }
done <"$KIT_TMP/sample"
diag "$(wc -l <"$KIT_TMP/sample") of $(wc -l <"$KIT_TMP/calls") places: $hit kills, $committed after the commit"
ok "kills landed" [ $hit -ge $(($(wc -l <"$KIT_TMP/sample") * 3 / 4)) ]
ok "also after the commit" [ $committed -ge 3 ]
is "promises broken" $wrong 0

# --- while somebody reads -----------------------------------------------------------------------

# Stopped in the middle of reading recovery point 1, which retention is about to remove.
fault_store delta
start_background strace -f -qq -o "$KIT_TMP/reader.trace" -e trace=pread64 \
    -e inject=pread64:signal=STOP:when=24 landfall store verify "$STORE" "$MACHINE" \
    --recovery-point 1
reader=$KIT_PID reader_log=$KIT_LOG
ok "a reader is stopped" wait_for 20 grep -q 'stopped by SIGSTOP' "$KIT_TMP/reader.trace"
wrong=0 hit=0
for place in "rename 1" "rename 2" "fdatasync 3" "pwrite64 4" "fsync 3" "unlink 1" "flock 6"; do
    read -r call n <<<"$place"
    kill_at "$call" "$n"
    if [ "$status" -eq 137 ]; then hit=$((hit + 1)); fi
    [[ $(recovery_points) == "1 2 3"* ]] && points_are_right >"$KIT_TMP/problem" || {
        wrong=$((wrong + 1))
        diag "killed at $place: $(recovery_points) $(cat "$KIT_TMP/problem")"
    }
done
ok "killed while somebody reads: kills landed" [ $hit -ge 4 ]
is "killed while somebody reads: promises broken" $wrong 0
commits "a cycle while somebody reads" "${arguments[@]}" --retain $RETAIN
is "it says why there are more" "$(event warning .code)" retention
like "the recovery point read is there" "$(recovery_points)" "^1 2 3 "
kill -CONT "$(sed -n '1s/ .*//p' "$KIT_TMP/reader.trace")"
wait_for 20 process_is_gone "$reader"
status=0
wait "$reader" || status=$?
is "the reader ends well" $status 0
[ $status -eq 0 ] || diag <"$reader_log"
latest=$(recovery_points)
latest=${latest##* }
commits "the next cycle" "${arguments[@]}" --retain $RETAIN
is "retention is done" "$(recovery_points)" "$latest $((latest + 1))"
ok "every recovery point is right" points_are_right
is "nothing is left over" "$(leftovers)" ""
done_testing
