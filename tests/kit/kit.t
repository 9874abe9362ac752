#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The kit judges all other live tests, so here it is judged: tests that go wrong in every way we
# know have to fail under prove and leave no file and no process behind.

. "$(dirname "$0")/kit.sh"
requires prove nbdkit qemu-nbd nbdinfo

# Runs a test made of the given lines under prove; its own temporary folders go to a place that we
# can look at. Leaves $status and $output.
run_test() {
    mkdir -p "$KIT_TMP/inner"
    {
        echo '#!/bin/bash'
        echo ". '$KIT_TOP/tests/kit/kit.sh'"
        printf '%s\n' "$@"
    } >"$KIT_TMP/inner.t"
    run env TMPDIR="$KIT_TMP/inner" prove -v --exec bash "$KIT_TMP/inner.t"
}

is_clean() {
    [ -z "$(ls -A "$KIT_TMP/inner")" ]
}

passes_test() {
    local name=$1
    shift
    run_test "$@"
    is "$name: passes" "$status" 0
    ok "$name: nothing is left" is_clean
}

fails_test() {
    local name=$1
    shift
    run_test "$@"
    like "$name: fails" "$output" "Result: FAIL"
    ok "$name: nothing is left" is_clean
}

passes_test "a good test" 'ok "true" true' 'is "text" a a' 'like "text" abc "^a"' \
    'unlike "text" abc "^b"' 'fails "a failure" false' 'done_testing'
passes_test "a plan" 'plan 1' 'pass one' 'done_testing'
passes_test "a skipped test" 'requires no-such-command' 'done_testing'
like "a skipped test says so" "$output" "no-such-command is not installed"
passes_test "a skipped check" 'skip "one" "not here"' 'done_testing'

passes_test "a program that tests nothing" 'no_tests' 'echo "1..0 # SKIP"'
run env TMPDIR="$KIT_TMP/inner" bash -c ". $KIT_TOP/tests/kit/kit.sh; no_tests; exit 3"
is "a program that tests nothing has its own status" "$status" 3

fails_test "a check that fails" 'ok "false" false' 'done_testing'
fails_test "text that differs" 'is "text" a b' 'done_testing'
fails_test "text unlike the pattern" 'like "text" a b' 'done_testing'
fails_test "text like the pattern" 'unlike "text" a a' 'done_testing'
fails_test "a success where a failure is due" 'fails "true" true' 'done_testing'
fails_test "a crash where a failure is due" 'crash() { sh -c "kill -SEGV \$\$"; }' \
    'fails "crash" crash' 'done_testing'
fails_test "a missing command where a failure is due" 'fails "none" no-such-command' 'done_testing'
fails_test "a command that fails" 'pass one' 'false' 'pass two' 'done_testing'
like "a command that fails is named" "$output" "failed: false"
fails_test "a failure in a substitution" 'pass one' 'x=$(false; echo y)' 'done_testing'
fails_test "a failure in a pipe" 'pass one' 'false | cat' 'done_testing'
fails_test "an unset variable" 'pass one' 'echo "$no_such"' 'done_testing'
fails_test "an early exit with success" 'pass one' 'exit 0' 'done_testing'
fails_test "a test without an end" 'pass one'
fails_test "a test without a check" 'done_testing'
fails_test "a wrong plan" 'plan 2' 'pass one' 'done_testing'
fails_test "a signal" 'pass one' 'kill -TERM $$' 'sleep 5' 'done_testing'
fails_test "a clean-up that fails" 'cleanup_fn false' 'pass one' 'done_testing'
fails_test "a deadline" 'wait_for 1 false' 'pass one' 'done_testing'
fails_test "a server that does not start" 'start_nbdkit "$KIT_TMP/s" no-such-plugin' 'pass one' \
    'done_testing'
fails_test "a process that cannot be ended" \
    'start_background bash -c "trap : TERM; while :; do sleep 1; done"' 'sleep 0.5' 'pass one' \
    'done_testing'
KIT_NO_SKIP=1 fails_test "a skip where it is not allowed" 'requires no-such-command' 'done_testing'

# Clean-ups run in reverse order, and servers end with their test, however it ends.
passes_test "clean-ups" 'cleanup_fn echo "# first"' 'cleanup_fn echo "# second word"' 'pass one' \
    'done_testing'
like "clean-ups run in reverse order" "$(tr '\n' ' ' <<<"$output")" "second word.*first"

for ending in done_testing 'exit 0' 'kill -INT $$; sleep 5' 'kill -HUP $$; sleep 5'; do
    run_test "start_nbdkit \"\$KIT_TMP/s\" memory 1M" "echo \$KIT_PID >>$KIT_TMP/pids" \
        "ok served nbdinfo \"\$KIT_URI\"" \
        "truncate -s 1M \$KIT_TMP/image" \
        "start_qemu_nbd \"\$KIT_TMP/q\" -f raw \"\$KIT_TMP/image\"" "echo \$KIT_PID >>$KIT_TMP/pids" \
        "ok served nbdinfo \"\$KIT_URI\"" "$ending"
    like "servers serve before '$ending'" "$output" "ok 2 - served"
    ok "nothing is left after '$ending'" is_clean
done
is "as many servers as started" "$(wc -l <"$KIT_TMP/pids")" 8
while read -r pid; do
    ok "server $pid is gone" process_is_gone "$pid"
done <"$KIT_TMP/pids"

done_testing
