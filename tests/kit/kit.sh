# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The test kit: what every live test needs, sourced as the first thing a test does. It gives TAP
# output, a temporary folder that is gone whatever happens, waiting with deadlines, and servers
# that are up when the call returns and dead when the test ends. A test that ends in any other way
# than through done_testing has failed: that is the default, success has to be reached.
#
# tests/README.md lists the functions with examples.

set -Eeuo pipefail
shopt -s inherit_errexit

KIT_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
KIT_BUILD=$(cd "$KIT_TOP" && realpath -m "${LANDFALL_BUILD:-${BUILD:-build}}")
export KIT_TOP KIT_BUILD
export PATH="$KIT_BUILD:$KIT_BUILD/tests/guest:$KIT_TOP/tests/guest:$PATH"

kit_count=0
kit_failed=0
kit_planned=
kit_done=
kit_cleanups=()

# --- TAP ----------------------------------------------------------------------------------------

# diag TEXT… or diag <FILE: comments for a person, one "#" per line.
diag() {
    if [ $# -gt 0 ]; then
        printf '%s\n' "$*" | sed 's/^/# /'
    else
        sed 's/^/# /'
    fi >&2
}

die() {
    diag "$*"
    exit 1
}

pass() {
    kit_count=$((kit_count + 1))
    echo "ok $kit_count - $1"
}

fail() {
    kit_count=$((kit_count + 1))
    kit_failed=$((kit_failed + 1))
    echo "not ok $kit_count - $1"
    diag "failed: $1 (${BASH_SOURCE[2]:-?}:${BASH_LINENO[1]:-?})"
}

# ok NAME COMMAND…: passes when the command succeeds; what it printed is shown when it does not.
ok() {
    local name=$1 status=0
    shift
    "$@" >"$KIT_TMP/.output" 2>&1 || status=$?
    if [ $status -eq 0 ]; then
        pass "$name"
    else
        fail "$name"
        diag "exit status $status from: $*"
        tail -n 40 "$KIT_TMP/.output" | diag
    fi
}

# fails NAME COMMAND…: passes when the command reports a failure of its own, that is with a status
# from 1 to 125. Death by a signal and "command not found" are never what a test wants to see.
fails() {
    local name=$1 status=0
    shift
    "$@" >"$KIT_TMP/.output" 2>&1 || status=$?
    if [ $status -ge 1 ] && [ $status -le 125 ]; then
        pass "$name"
    else
        fail "$name"
        diag "exit status $status, not a failure, from: $*"
        tail -n 40 "$KIT_TMP/.output" | diag
    fi
}

# is NAME GOT EXPECTED
is() {
    if [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1"
        diag "     got: $2"
        diag "expected: $3"
    fi
}

# like NAME GOT EXTENDED-REGEX
like() {
    if [[ $2 =~ $3 ]]; then
        pass "$1"
    else
        fail "$1"
        diag "       got: $2"
        diag "not like: $3"
    fi
}

# unlike NAME GOT EXTENDED-REGEX
unlike() {
    if [[ $2 =~ $3 ]]; then
        fail "$1"
        diag "        got: $2"
        diag "is like: $3"
    else
        pass "$1"
    fi
}

# run COMMAND…: never fails; leaves $status and $output (both streams) for is and like.
run() {
    status=0
    # shellcheck disable=SC2034  # for the test
    output=$("$@" 2>&1) || status=$?
}

# status NAME EXPECTED REGEX COMMAND…: the exit code, which may be [12], and what is said on both
# streams.
status() {
    local name=$1 expected=$2 regex=$3
    shift 3
    run "$@"
    like "$name: exit code" "$status" "^$expected\$"
    like "$name: what is said" "$output" "$regex"
}

plan() {
    kit_planned=$1
    echo "1..$1"
}

done_testing() {
    if [ -z "$kit_planned" ]; then
        echo "1..$kit_count"
    elif [ "$kit_planned" -ne "$kit_count" ]; then
        die "planned $kit_planned tests, ran $kit_count"
    fi
    [ "$kit_count" -gt 0 ] || die "no test was run"
    kit_done=yes
}

# For the demo and the bench, which use the kit but check nothing: they end with their own status.
no_tests() {
    kit_done=program
}

# skip NAME REASON: one check that cannot be made here.
skip() {
    kit_count=$((kit_count + 1))
    echo "ok $kit_count - $1 # SKIP $2"
}

# skip_all REASON: KIT_NO_SKIP=1 turns every skip into a failure, for a run that has to be complete.
skip_all() {
    [ -z "${KIT_NO_SKIP:-}" ] || die "skipping is not allowed here: $*"
    [ "$kit_count" -eq 0 ] || die "skip_all after the first test: $*"
    echo "1..0 # SKIP $*"
    kit_done=yes
    exit 0
}

# requires COMMAND…: skips the whole test when one is missing.
requires() {
    local command
    for command; do
        command -v "$command" >"$KIT_TMP/.output" || skip_all "$command is not installed"
        # A leak checker ends a traced process, and the suite has other tests for leaks.
        [ "$command" != strace ] || export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
    done
}

# --- Ending -------------------------------------------------------------------------------------

# cleanup_fn COMMAND…: run at the end, however it comes; the last one registered runs first.
cleanup_fn() {
    kit_cleanups+=("$(printf '%q ' "$@")")
}

# True in a clean-up when the test has not passed: the moment to show logs.
kit_is_failing() {
    [ -z "$kit_done" ] || [ "$kit_failed" -gt 0 ]
}

kit_exit() {
    local status=$? i
    trap - ERR
    trap '' HUP INT TERM
    set +e
    if [ -z "$kit_done" ]; then
        diag "the test ended before done_testing (status $status)"
        [ $status -ne 0 ] || status=1
    elif [ "$kit_failed" -gt 0 ]; then
        diag "$kit_failed of $kit_count failed"
        status=1
    fi
    for ((i = ${#kit_cleanups[@]} - 1; i >= 0; i--)); do
        eval "${kit_cleanups[i]}" || { diag "clean-up failed: ${kit_cleanups[i]}" && status=1; }
    done
    if [ -n "${KIT_KEEP:-}" ]; then
        diag "kept $KIT_TMP"
    else
        rm -rf "$KIT_TMP"
    fi
    exit "$status"
}

kit_make_tmp() {
    local parent=${TMPDIR:-/tmp}
    # A unix socket's path ends at 107 characters, and tests add their own names below this folder.
    [ ${#parent} -le 40 ] || parent=/tmp
    KIT_TMP=$(mktemp -d "$parent/lf.XXXXXX")
    export KIT_TMP
    # QEMU runs as another user and has to get at the images.
    chmod 755 "$KIT_TMP"
}

kit_make_tmp
trap kit_exit EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'diag "${BASH_SOURCE[0]}:$LINENO: failed: $BASH_COMMAND"' ERR

# --- Waiting ------------------------------------------------------------------------------------

# Microseconds on a clock that is good enough for deadlines.
kit_now() {
    echo "${EPOCHREALTIME/[.,]/}"
}

# wait_for SECONDS COMMAND…: until the command succeeds; 1 and a remark once the time is over.
# What comes soon is seen soon; looking often for what takes long would hold it up.
wait_for() {
    local seconds=$1 deadline looks=0
    deadline=$(($(kit_now) + $1 * 1000000))
    shift
    until "$@" >"$KIT_TMP/.wait" 2>&1; do
        if [ "$(kit_now)" -ge "$deadline" ]; then
            diag "not within $seconds s: $*"
            tail -n 5 "$KIT_TMP/.wait" | diag
            return 1
        fi
        looks=$((looks + 1))
        if [ $looks -lt 10 ]; then
            sleep 0.05
        elif [ $looks -lt 25 ]; then
            sleep 0.2
        else
            sleep 0.5
        fi
    done
}

process_is_gone() {
    ! kill -0 "$1" 2>/dev/null
}

# stop_process PID [SIGNAL]: returns once it is gone; SIGKILL after ten seconds, which is a failure.
stop_process() {
    kill -s "${2:-TERM}" "$1" 2>/dev/null || return 0
    wait_for 10 process_is_gone "$1" && return 0
    diag "process $1 did not end, killing it"
    kill -s KILL "$1" 2>/dev/null
    wait_for 10 process_is_gone "$1"
    return 1
}

# start_background COMMAND…: sets KIT_PID, and KIT_LOG, where its output goes; ends with the test.
# After a plain "&" the command would ignore SIGINT.
start_background() {
    KIT_LOG=$(mktemp "$KIT_TMP/background.XXXXXX")
    env --default-signal=INT,QUIT "$@" >"$KIT_LOG" 2>&1 &
    KIT_PID=$!
    cleanup_fn kit_stop_child "$KIT_PID"
}

# A child that is long gone may have left its number to someone else's process.
kit_stop_child() {
    [ "$(ps -o ppid= -p "$1" | tr -d ' ')" = $$ ] || return 0
    stop_process "$1"
}

# --- Files --------------------------------------------------------------------------------------

# flip FILE OFFSET: inverts the lowest bit of a byte.
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    # shellcheck disable=SC2059  # the byte is the format
    printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# --- Servers ------------------------------------------------------------------------------------

# Its process ID is in the file, or will never be.
kit_is_decided() {
    [ -s "$1" ] || process_is_gone "$2"
}

kit_start_server() {
    local pid_file=$1
    shift
    rm -f "$pid_file"
    start_background "$@"
    wait_for 20 kit_is_decided "$pid_file" "$KIT_PID" || true
    if [ ! -s "$pid_file" ] || process_is_gone "$KIT_PID"; then
        diag "not started: $*"
        diag <"$KIT_LOG"
        return 1
    fi
}

# start_nbdkit END ARGUMENTS…: END is a socket's path or a TCP port. Sets KIT_PID and KIT_URI.
start_nbdkit() {
    local end=$1 where
    shift
    kit_end_uri "$end"
    if [[ $end =~ ^[0-9]+$ ]]; then where=(-p "$end" -i 127.0.0.1); else where=(-U "$end"); fi
    kit_start_server "$KIT_TMP/nbdkit-${end##*/}.pid" \
        nbdkit -f -P "$KIT_TMP/nbdkit-${end##*/}.pid" "${where[@]}" "$@"
}

# start_qemu_nbd END ARGUMENTS…: the same with qemu-nbd, serving until the end of the test.
start_qemu_nbd() {
    local end=$1 where
    shift
    kit_end_uri "$end"
    if [[ $end =~ ^[0-9]+$ ]]; then where=(-p "$end" -b 127.0.0.1); else where=(-k "$end"); fi
    kit_start_server "$KIT_TMP/qemu-nbd-${end##*/}.pid" \
        qemu-nbd -t -e 16 --pid-file "$KIT_TMP/qemu-nbd-${end##*/}.pid" "${where[@]}" "$@"
}

# shellcheck disable=SC2034  # for the test
kit_end_uri() {
    if [[ $1 =~ ^[0-9]+$ ]]; then
        KIT_URI=nbd://127.0.0.1:$1
    else
        KIT_URI="nbd+unix:///?socket=$1"
    fi
}
