# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What tests of killed daemons share, to be sourced after failover.sh.

# --- a daemon that is killed at a step ------------------------------------------------------------

# landfalld runs the landfall beside it: here that is one which may kill the daemon first. $KIT_TMP/plan
# says when: WORD before|midst|after, once. With "spoilt" it stays alive, and $KIT_TMP/spoil is run before the step.
mkdir "$KIT_TMP/bin"
cp "$KIT_BUILD/landfalld" "$KIT_TMP/bin/"
cat >"$KIT_TMP/bin/landfall" <<END
#!/bin/bash
real=$KIT_BUILD/landfall
plan=$KIT_TMP/plan
steps=$KIT_TMP/steps
spoil=$KIT_TMP/spoil
END
cat >>"$KIT_TMP/bin/landfall" <<'END'
step=
case $1 in
failover-step) step=$2 ;;
cycle) step=cycle && [[ " $* " != *' --final '* ]] || step=final ;;
esac
[ -z "$step" ] || echo "$step" >>"$steps"
{ read -r word instant <"$plan"; } 2>/dev/null
if [ -n "$step" ] && [ "$step" = "$word" ]; then
    mv "$plan" "$plan.met"
    case $instant in
    before) kill -s KILL $PPID ;;
    spoilt) "$spoil" ;;
    midst) (sleep 0.0$((RANDOM % 9 + 1)) && kill -s KILL $PPID) & ;;
    after) "$real" "$@" >/dev/null 2>&1; kill -s KILL $PPID ;;
    esac
fi
exec "$real" "$@"
END
chmod +x "$KIT_TMP/bin/landfall"
PATH=$KIT_TMP/bin:$PATH
command_line() {
    "$KIT_BUILD/landfall" "$@"
}

# --- the machine ----------------------------------------------------------------------------------

# tiny_write BYTE [OFFSET]: through QEMU, so that bitmaps see it, and onto the disk.
tiny_write() {
    tiny_io "$machine" "write -q -f -P $1 ${2:-1M} 64k"
}

# holds BYTE IMAGE [OFFSET]
holds() {
    qemu-io -U -r -c "read -q -P $1 ${3:-1M} 64k" "$2" >"$KIT_TMP/.holds" 2>&1 &&
        ! grep -q . "$KIT_TMP/.holds"
}

image_there() {
    there virsh -q domblklist "$machine" | awk '$1 == "vda" { print $2 }'
}

# --- kills ----------------------------------------------------------------------------------------

# States that an operation may rest in.
rests() {
    local state
    state=$(operation .state "$1")
    [[ $state =~ ^(live|stuck|done|undone|failed|cancelled)$ ]]
}

# killed KIND STEP INSTANT COMMAND…: the daemon dies there, and the next one brings the operation to rest.
killed() {
    local kind=$1 name="$1, killed $3 $2"
    echo "$2 $3" >"$KIT_TMP/plan"
    shift 3
    command_line "$@" >"$KIT_TMP/log" 2>&1 || true
    ok "$name" wait_for 20 process_is_gone "$LANDFALLD_PID"
    # It lives on where the operation has never come to that step.
    process_is_gone "$LANDFALLD_PID" || kill_daemon
    { wait "$LANDFALLD_PID" || true; } 2>/dev/null
    never_two "$name: it does not run twice"
    rm -f "$KIT_TMP/plan"
    start_daemon
    ok "$name: it comes to rest" wait_for $patience rests "$kind"
    state=$(operation .state "$kind")
    diag "$name: $state, the machine is $(state_of "${known:-here/$machine}"), $(power here) here, $(power there) there"
    [ "$state" != stuck ] || isnt_empty "$name: what to type next" "$(operation .next "$kind")"
    never_two "$name: nor after that"
}

power() {
    "$1" virsh -q domstate "$machine" 2>/dev/null | head -n 1 | grep . || echo none
}

isnt_empty() {
    [ -n "$2" ] && [ "$2" != null ] && pass "$1" || fail "$1"
}
