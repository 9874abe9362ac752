#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What can go wrong in a move, for real: a guest that does not heed the power button, a target that
# cannot define, start, find its network, or has no space, a source that is cut off in the midst of the
# last cycle. Each ends with the machine running where it was, a cause and a hint; once the cause is
# gone the same command succeeds.
. "$(dirname "$0")/failover.sh"

move=(landfall migrate "$machine" --target there --probe power=1 --yes --follow)

# back_home NAME: the machine runs on, unfenced, under replication.
back_home() {
    is "$1: it runs at the source" "$(guest_state $machine)" running
    is "$1: and not there" "$(there virsh -q list --all --name | xargs)" ""
    is "$1: its state" "$(state_of $machine)" replicating
    unlike "$1: no fence" "$(virsh dumpxml --inactive $machine)" 'urn:landfall:fence'
    is "$1: no lease, pin or clone" \
        "$(find "$store" \( -name lease.json -o -path '*/clones/*' -o -path '*/pins/*' \) -printf '%p ')" ""
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

# The daemon runs the landfall beside it: here one that cuts the source off in the midst of a last cycle.
mkdir "$KIT_TMP/bin"
cp "$KIT_BUILD/landfalld" "$KIT_TMP/bin/"
cat >"$KIT_TMP/bin/landfall" <<END
#!/bin/bash
if [[ " \$* " == *' --final '* ]] && [ -e "$KIT_TMP/cut" ]; then
    rm "$KIT_TMP/cut"
    (sleep 0.15; kill -s KILL \$(<"$KIT_TMP/libvirt/pid") \$(pgrep -x qemu-storage-da); touch "$KIT_TMP/was-cut") &
fi
exec $KIT_BUILD/landfall "\$@"
END
chmod +x "$KIT_TMP/bin/landfall"
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
back_home "a network that is not there"
landfall target set there --network production=lan --store-path "$store" >/dev/null

there virsh -q net-destroy lan
fails_for "a network that is off" "lan" "${move[@]}"
back_home "a network that is off"
there virsh -q net-start lan

landfall target set there --network production=lan --store-path "$KIT_TMP/elsewhere" >/dev/null
fails_for "a store that is not seen there" "elsewhere" "${move[@]}"
back_home "a store that is not seen there"

landfall target set there --network production=lan --store-path "$store" --memory 900G >/dev/null
fails_for "too much memory" "memory" "${move[@]}"
back_home "too much memory"
landfall target set there --memory none >/dev/null

there virsh -q define /dev/stdin >/dev/null <<<"<domain type='qemu'><name>$machine</name><memory>8192</memory><os><type>hvm</type></os></domain>"
fails_for "another machine of that name there" "$machine" "${move[@]}"
there virsh -q undefine $machine
back_home "another machine of that name there"

# The rest takes minutes: two ways through a boot loader.
if [ -z "${LANDFALL_LONG:-}" ]; then
    done_testing
    exit
fi

# --- the source -----------------------------------------------------------------------------------

# In the midst of the last cycle libvirt of the source goes away, and who serves its images; libvirt comes
# back a little later.
guest_wait_more_acked $machine $patience 3
guest_run $machine 'echo "dd if=/dev/urandom of=/dev/vda bs=1M count=24 seek=100 conv=fsync" >/run/last-words' >/dev/null
touch "$KIT_TMP/cut"
landfall migrate $machine --target there --probe power=1 --yes --follow >"$KIT_TMP/log" 2>&1 &
mover=$!
ok "the source is cut off in the last cycle" wait_for $patience test -e "$KIT_TMP/was-cut"
sleep 3
libvirtd_start
{ wait $mover && status=0 || status=$?; } 2>/dev/null
diag "the source was cut off: $(operation '[.state, .error.message] | join(": ")' migrate)"
is "a source that is cut off: the move fails" "$status" 1
like "a source that is cut off: a hint" "$(<"$KIT_TMP/log")" 'hint: '
[ "$(operation .state migrate)" != stuck ] || like "what to type next" "$(operation .next migrate)" 'landfall (migrate|rollback)'
ok "it was in the midst of it" grep -q final "$KIT_TMP/log"
[ "$(operation .state migrate)" = stuck ] || back_home "a source that was cut off"
# The events that were read until now ended with their libvirtd.
start_witness

# --- and now --------------------------------------------------------------------------------------

said_by "the same command again" 0 'down for' "${move[@]}"
is "it has moved" "$(guest_state $machine)/$(there guest_state $machine)" "shut off/running"
said_by "and back" 0 . landfall rollback $machine --yes --follow
back_home "and back"
done_testing
