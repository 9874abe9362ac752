#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What can go wrong in a move, for real: a guest that does not heed the power button, a target that
# cannot define, start, find its network, or has no space, a source that is cut off in the midst of the
# last cycle. Each ends with the machine running where it was, a cause and a hint; once the cause is
# gone the same command succeeds. And a target that is lost for good after the move.
. "$(dirname "$0")/failover.sh"

move=(landfall migrate "$machine" --target there --probe power=1 --yes --follow)

# at_home NAME: the machine runs on, unfenced, and is to be replicated.
at_home() {
    is "$1: it runs at the source" "$(guest_state $machine)" running
    is "$1: and not there" "$(there virsh -q list --all --name | xargs)" ""
    is "$1: its state" "$(state_of $machine)" replicating
    unlike "$1: no fence" "$(virsh dumpxml --inactive $machine)" 'urn:landfall:fence'
    is "$1: no lease, pin or clone" \
        "$(find "$store" \( -name lease.json -o -path '*/clones/*' -o -path '*/pins/*' \) -printf '%p ')" ""
}

# back_home NAME: that, and it is replicated; all that was seen since the witness began.
back_home() {
    at_home "$1"
    ok "$1: replication goes on" landfall sync $machine --follow
    never_two "$1: it never ran twice"
}

# fails_for NAME REGEX COMMAND…: with a status of failure, a cause, and a hint.
fails_for() {
    local name=$1 regex=$2
    shift 2
    said_by "$name" 1 "$regex" "$@"
    like "$name: a hint" "$output" 'hint: '
    like "$name: a stated end" "$(operation .state migrate)" '^(failed|stuck)$'
}

# The daemon runs the landfall beside it, which gives a last cycle something to do once it has its snapshot.
mkdir "$KIT_TMP/bin"
cp "$KIT_BUILD/landfalld" "$KIT_TMP/bin/"
cat >"$KIT_TMP/bin/landfall" <<END
#!/bin/bash
[[ " \$* " != *' --final '* ]] || set -- "\$@" --on-snapshot "$KIT_TMP/bin/cut"
exec $KIT_BUILD/landfall "\$@"
END
# Cuts the source off in the midst of the cycle, if it is told to: libvirt goes, and who serves the images.
cat >"$KIT_TMP/bin/cut" <<END
#!/bin/bash
rm "$KIT_TMP/cut" 2>/dev/null || exit 0
(sleep 0.5; kill -s KILL \$(<"$KIT_TMP/libvirt/pid") \$(pgrep -x qemu-storage-da); touch "$KIT_TMP/was-cut") >/dev/null 2>&1 &
END
chmod +x "$KIT_TMP/bin"/*
PATH=$KIT_TMP/bin:$PATH

two_hosts
define_counting $machine 25
guest_start $machine
guest_wait_acked $machine $patience 20
replicated $machine

# --- the guest does not shut down -----------------------------------------------------------------

guest_run $machine 'killall acpid; true' >/dev/null
acked=$(guest_acked $machine)
fails_for "a guest that does not heed" 'shut' "${move[@]}" --shutdown-deadline 2s
back_home "a guest that does not heed"
guest_wait_more_acked $machine 30 5
pass "it was not even interrupted"
guest_run $machine 'acpid -c /etc/acpi -p /run/acpid.pid' >/dev/null 2>&1

# --- the target ----------------------------------------------------------------------------------

# From here on its power is cut at once: what is shown here does not need it to come up each time.
move+=(--on-deadline force --shutdown-deadline 1s)

landfall target set there --network production=nowhere --store-path "$store" >/dev/null
fails_for "a network that is not there" "nowhere" "${move[@]}"
at_home "a network that is not there"
landfall target set there --network production=lan --store-path "$store" >/dev/null

there virsh -q net-destroy lan
fails_for "a network that is off" "lan" "${move[@]}"
at_home "a network that is off"
there virsh -q net-start lan

landfall target set there --network production=lan --store-path "$KIT_TMP/elsewhere" >/dev/null
fails_for "a store that is not seen there" "elsewhere" "${move[@]}"
at_home "a store that is not seen there"

landfall target set there --network production=lan --store-path "$store" --memory 900G >/dev/null
fails_for "too much memory" "memory" "${move[@]}"
at_home "too much memory"
landfall target set there --memory none >/dev/null

there virsh -q define /dev/stdin >/dev/null <<<"<domain type='qemu'><name>$machine</name><memory>8192</memory><os><type>hvm</type></os></domain>"
fails_for "another machine of that name there" "$machine" "${move[@]}"
there virsh -q undefine $machine
back_home "another machine of that name there"

# --- the source -----------------------------------------------------------------------------------

# Its libvirtd is being restarted when the move begins. In the midst of the last cycle, which has some
# seconds to go, it goes away once more, with who serves the images, and comes back a little later.
guest_run $machine 'dd if=/dev/urandom of=/dev/vda bs=1M count=8 seek=100 conv=fsync' >/dev/null 2>&1
landfall setting set bandwidth 4000000 >/dev/null
libvirtd_stop
touch "$KIT_TMP/cut"
"${move[@]}" --max-passes 0 >"$KIT_TMP/log" 2>&1 &
mover=$!
sleep 1
libvirtd_start
# Who listened to the one that ended hears no more.
start_witness
ok "F34: a source whose libvirtd is just restarted is waited for" wait_for $patience test -e "$KIT_TMP/was-cut"
sleep 1.5
libvirtd_start
start_witness
{ wait $mover && status=0 || status=$?; } 2>/dev/null
output=$(<"$KIT_TMP/log")
is "a source that is cut off: exit code" "$status" 1
like "a source that is cut off: in the last cycle" "$output" 'final.*failed'
like "a source that is cut off: a hint" "$output" 'hint: '
like "a source that is cut off: a stated end" "$(operation '[.state, .error.message] | join(": ")' migrate)" \
    '^failed: cycle'
at_home "a source that is cut off"
landfall setting set bandwidth 0 >/dev/null

# --- and now --------------------------------------------------------------------------------------

said_by "the same command again" 0 'down for' "${move[@]}"
is "it has moved" "$(guest_state $machine)/$(there guest_state $machine)" "shut off/running"

# --- a target that is lost for good ---------------------------------------------------------------

abandon=(landfall rollback "$machine" --abandon-target --yes --follow)
host_is() {
    [ "$(landfall host show there --json | jq -r .status)" = "$1" ]
}
alerted() {
    landfall alert list --json | jq -r '.items[] | select(.kind == "abandoned-target" and .state == "raised") | .hint'
}
said_by "F28: a host that answers is not abandoned" 1 'is connected: it is not lost' "${abandon[@]}"
never_two "F2: up to now it never ran twice"
# Its folders outlive it, as those of a host that is off do.
start_background nsenter --target "$(<"$KIT_TMP/libvirt-there/pid")" --mount --uts sleep infinity
there_folders=$KIT_PID
wait_for 30 grep -q sleep "/proc/$there_folders/comm" || die "nobody holds the folders of host there"
{ stop_process "$(<"$KIT_TMP/libvirt-there/pid")" KILL; } 2>/dev/null
ok "its libvirt is gone" wait_for $patience host_is lost
said_by "F6: the way back gets stuck" 1 'there is lost for good: landfall rollback [^ ]* --abandon-target' \
    landfall rollback $machine --deadline 1s --yes --follow
said_by "F28: what still runs there is not abandoned" 1 'still runs on host there' "${abandon[@]}"
is "F28: the source does not run" "$(guest_state $machine)" "shut off"
{ stop_process "$(pgrep -x qemu-system-x86)" KILL; } 2>/dev/null
said_by "F28: what is lost is" 0 'WARNING.*never be started.*left on host there: machine m1' "${abandon[@]}"
is "F28: it runs where it came from" "$(guest_state $machine) $(state_of $machine)" "running replicating"
report=$(landfall report $machine --operation "$(operation .id migrate)" --json)
said_by "F28: the report as text" 0 'Host there was abandoned.*never be started again.*left behind.*machine m1.*virsh destroy' \
    landfall report $machine --operation "$(operation .id migrate)"
left=$(jq -r '.left_behind.left[0].command' <<<"$report")
like "F28: the report tells what is left, and what takes it away" "$left" '^virsh destroy .*; virsh undefine'
landfall report $machine --operation "$(operation .id migrate)" --html "$KIT_TMP/report.html" >/dev/null
like "F28: so does the page" "$(<"$KIT_TMP/report.html")" 'Left behind.*never be started again.*virsh destroy'
is "F28: and that it was wanted" "$(operation '.options.abandon_target' rollback)" true
is "F28: no alert yet" "$(alerted)" ""
nsenter --target "$there_folders" --mount --uts env --default-signal=INT,QUIT \
    libvirtd -p "$KIT_TMP/libvirt-there/libvirtd.pid" >/dev/null 2>&1 &
echo $! >"$KIT_TMP/libvirt-there/pid"
ok "F28: it turns up again: an alert" wait_for $patience eval '[ -n "$(alerted)" ]'
like "F28: with what takes it away" "$(alerted)" 'on host there: virsh destroy'
there bash -c "$left" >/dev/null 2>&1
ok "F28: it is gone: no alert" wait_for $patience eval '[ -z "$(alerted)" ]'
at_home "F28: and back"
ok "F28: replication goes on" landfall sync $machine --follow
done_testing
