#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A machine that was moved away, and is replicated from there, comes home: what it was before is brought
# up to date and runs again. First one whose disk holds nothing, with daemons that are killed and hosts
# that refuse, then one that counts: no record is lost. LANDFALL_LONG=1: killed at every step.
. "$(dirname "$0")/failover.sh"
. "$(dirname "$0")/killed.sh"
. "$(dirname "$0")/../kit/remote.sh"

home=(migrate "there/$machine" --target here --on-deadline force --shutdown-deadline 1s --probe power=1 --yes --follow)
away=(rollback "there/$machine" --deadline 1s --yes --follow)
all_steps=(preflight lease catch-up shutdown final fence write-back unfence-home start watch)

is_home() {
    [ "$(power here)/$(power there)" = "running/shut off" ]
}
is_away() {
    [ "$(power here)/$(power there)" = "shut off/running" ]
}
note_of() { # AT
    "$1" virsh -q dumpxml --inactive $machine | { grep -c 'state="gone"' || true; }
}
turned() {
    landfall machine show "there/$machine" --json |
        jq -e --argjson before "$1" '.replication.last_point > $before and .state == "replicating"' >/dev/null
}

# turn_round DEADLINE PROBE: the machine moves away, and is replicated from there.
turn_round() {
    said_by "it moves away" 0 "down for" landfall migrate $machine --target there --on-deadline force \
        --shutdown-deadline "$1" --probe "$2" --yes --follow
    before=$(operation .recovery_point migrate)
    said_by "the roles are turned" 0 "is done" landfall reverse $machine --yes --follow
    known=there/$machine
    ok "with a recovery point from there" wait_for $patience turned "$before"
}

two_hosts far
define_empty $machine
autostart=$(virsh -q dominfo $machine | awk '/Autostart/ { print $2 }')
replicated $machine
landfall target set here --network lan=production --store-path "$store" >/dev/null
tiny_write 1
turn_round 1s power=1
there tiny_write 2
ok "a recovery point of what it is there" landfall sync "$known" --follow

# --- what stands in the way -----------------------------------------------------------------------

said_by "F17: a plan" 0 'brought up to date' landfall migrate "$known" --plan --target here --on-deadline force
ok "a plan changes nothing" is_away
said_by "F18: a copy cannot come home" 1 'no-shutdown' landfall "${home[@]}" --no-shutdown

virsh -q net-destroy production
said_by "F3: the host cannot start it" 1 'production' landfall "${home[@]}"
ok "F3: it runs where it came from" is_away
is "F18: what it was before is fenced again, and the other is not" "$(note_of here) $(note_of there)" "1 0"
is "F6: it is replicated again" "$(state_of "$known")" replicating
virsh -q net-start production
never_two "F2: it never ran twice"

# --- somebody writes to what it was before --------------------------------------------------------

# And takes it back so that it looks untouched again.
disk=$KIT_TMP/$machine.qcow2
cat >"$KIT_TMP/spoil" <<SPOIL
#!/bin/bash
cp -p "$disk" "$KIT_TMP/untouched"
qemu-io -c "write -q -P 9 4M 64k" "$disk"
SPOIL
chmod +x "$KIT_TMP/spoil"
unspoil() {
    cat "$KIT_TMP/untouched" >"$disk"
    touch -r "$KIT_TMP/untouched" "$disk"
}

"$KIT_TMP/spoil"
said_by "F17, F18: written to before it goes home" 1 'somebody has written to its disks since.*undefine' \
    landfall "${home[@]}"
ok "F18: it runs where it came from" is_away
ok "F18: what was written is there" holds 9 "$disk" 4M
unspoil

there tiny_write 77
echo "write-back spoilt" >"$KIT_TMP/plan"
said_by "F17, F18: written to while it goes home" 1 'not as they were when it was moved away' landfall "${home[@]}"
ok "F3: it runs where it came from" is_away
ok "F17: what was written is there" holds 9 "$disk" 4M
is "F18: what it was before is fenced, and the other is not" "$(note_of here) $(note_of there)" "1 0"
unspoil
never_two "F2: it never ran twice"

# --- home, and back again, with daemons that are killed -------------------------------------------

kills=("write-back midst" "unfence-home after" "start midst")
if [ -n "${LANDFALL_LONG:-}" ]; then
    kills=()
    for step in "${all_steps[@]}"; do
        kills+=("$step before" "$step midst" "$step after")
    done
fi
byte=2
for kill in "${kills[@]}"; do
    read -r step instant <<<"$kill"
    name="home, killed $instant $step"
    byte=$((byte + 1))
    there tiny_write $byte
    killed migrate "$step" "$instant" "${home[@]}"
    is_home || ok "$name: it runs somewhere" is_away
    is_home || ok "$name: the same command again" landfall "${home[@]}"
    ok "$name: it is home" is_home
    ok "F18: $name: with what was written last" holds $byte "$KIT_TMP/$machine.qcow2"
    is "$name: one fence" "$(note_of here) $(note_of there)" "0 1"
    ok "F18: $name: nothing is left of what was dropped before" holds 0 "$KIT_TMP/$machine.qcow2" 3M
    tiny_write 250 3M # which the way back drops: there nothing is ever written at this place
    said_by "$name: back again" 0 "is done" landfall "${away[@]}"
    ok "$name: it runs where it came from" is_away
    ok "$name: as it was" holds $byte "$(image_there)"
    is "$name: one fence" "$(note_of here) $(note_of there)" "1 0"
    never_two "$name: it never ran twice"
done

for step in stop fence-home unfence start-source; do
    [ -n "${LANDFALL_LONG:-}" ] || [ $step = fence-home ] || continue
    ok "home once more" landfall "${home[@]}"
    killed rollback $step midst "${away[@]}"
    is_away || ok "killed in $step: again" landfall "${away[@]}"
    ok "killed in $step: it runs where it came from" is_away
    never_two "killed in $step: it never ran twice"
done

# --- for good -------------------------------------------------------------------------------------

ok "home once more" landfall "${home[@]}"
said_by "it stays" 0 "is done" landfall complete "$known" --yes --follow
is "it is home" "$(power here)" running
ok "with what was written last" holds $byte "$KIT_TMP/$machine.qcow2"
is "F19: where it came from it is no more" "$(power there)" none
is "F19: nor is its overlay, or its pin" "$(find "$store"/*/clones "$store"/*/pins -mindepth 1)" ""
is "its autostart is as it was" "$(virsh -q dominfo $machine | awk '/Autostart/ { print $2 }')" "$autostart"
is "no note is left here" "$(virsh -q dumpxml --inactive $machine | grep -c 'urn:landfall' || true)" 0
ok "the replica stays" landfall store verify "$store" $machine
never_two "F2: it never ran twice"

# --- one that counts ------------------------------------------------------------------------------

machine=m2
known=here/$machine
home=(migrate "there/$machine" --target here --probe power=1 --yes --follow)
define_counting $machine 25
guest_start $machine
guest_wait_acked $machine $patience 20
wait_for 60 landfall replicate $machine --store main --interval 1h >/dev/null
wait_for $patience has_point $machine
turn_round 120s 'console=writer goes on after'
gone=$(guest_acked $machine)
console=$(there console_of $machine)
ok "the guest counts on there" lives_on "there" "$console" "$gone"
until_here=$(stat -c %s "$KIT_TMP/$machine.console")
said_by "it comes home" 0 "down for" landfall "${home[@]}"
acked=$(acked_in "$console")
ok "there it had gone on" test "$acked" -gt "$gone"
ok "F2, F17: home with all $acked records, it counts on" \
    lives_on "home" "$KIT_TMP/$machine.console" "$acked" "$acked" "$until_here"
went_home=$(operation .id migrate)
diag "down for $(operation .downtime_ms migrate) ms"
said_by "it is replicated from here again" 0 "is done" landfall reverse "$known" --yes --follow
known=here/$machine
ok "with a recovery point" wait_for $patience has_point "$known"
like "a report of it" "$(landfall report here/$machine --operation "$went_home")" 'write-back'
is "F19: where it came from it is no more" "$(power there)" none
is "F19: nor is its overlay, or its pin" "$(find "$store"/*/clones "$store"/*/pins -mindepth 1)" ""
is "no error reached the guest" "$(grep -ac '^error' "$KIT_TMP/$machine.console" || true)" 0
never_two "F2: it never ran twice"

done_testing
