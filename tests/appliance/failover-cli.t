#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The commands that test, move and return machines, as far as they go without a machine to move: what
# they make of their options, what they ask before they begin, what they say.
. "$(dirname "$0")/../kit/libvirtd.sh"
. "$(dirname "$0")/landfalld.sh"
requires jq script

export LANDFALL_SOCKET=$KIT_TMP/d-run/landfalld.sock

# --- what is wrong with the line is said without asking anybody ---------------------------------

status "F51: a duration that is none" 2 "--wait: 'soon' is no duration.*hint: such as" landfall test-migrate m --wait soon
status "a probe that is none" 2 "--probe: 'ping' is no probe.*hint: power" landfall test-migrate m --probe ping
status "a recovery point that is none" 2 "--recovery-point: '0' is no number" landfall test-migrate m --recovery-point 0
status "a time that is none" 2 "--at: 'soon' is no time.*hint: such as" landfall migrate m --yes --at soon
status "a time that is over" 2 "--at: '2020-01-01 10:00' is over" landfall migrate m --yes --at '2020-01-01 10:00'
status "days of tests" 2 "--require-test: '0' is no number from 1" landfall migrate m --yes --require-test 0
status "neither of two" 2 'one of --every and --weekly.*hint: such as' landfall rehearsal set m
status "both of two" 2 'one of --every and --weekly' landfall rehearsal set m --every 1d --weekly Sat
status "half a day" 2 "--every: '36h' are no whole days" landfall rehearsal set m --every 36h
status "no day" 2 "--weekly: 'Someday' is no day of the week" landfall rehearsal set m --weekly Someday
status "an operation that is no number" 2 "'x' is no number of an operation" landfall operation show x
status "half a command" 2 'landfall target: which of these: set, list, show, remove' landfall target

# --- targets ------------------------------------------------------------------------------------

landfalld_start d
landfall host add t test:///default >"$KIT_TMP/log"
landfall host add u test:///default >"$KIT_TMP/log"
landfall store add main "$KIT_TMP/store" >"$KIT_TMP/log"
has_machines() { [ "$(landfall machine list --json | jq '.items | length')" = 2 ]; }
ok "machines are seen" wait_for 20 has_machines
# Of a target: members, separated by a space.
target() { landfall target show t --json | jq -r "[$1] | join(\" \")"; }

status "no target" 2 "host 't' is no target.*hint: landfall target set" landfall target show t
status "no such host" 2 "no host 'fly'" landfall target set fly
status "a target" 0 'host t is a target' landfall target set t --network br0=lan --network br1=dmz --name-suffix=-dr --cpus 4
is "with networks" "$(target .networks.br0,.networks.br1,.reach,.machine.name_suffix,.machine.cpus)" "lan dmz path -dr 4"
status "changed" 0 . landfall target set t --pool fast --memory 1.5G --cpus none
is "F52: keeps what was not given" "$(target .networks.br1,.machine.name_suffix,.machine.memory_mib,.machine.cpus)" "dmz -dr 1536 "
is "brings disks into the pool" "$(target .reach,.pool)" "nbd fast"
status "changed again" 0 . landfall target set t --store-path /mnt/store --network none
is "sees the store" "$(target .reach,.store_path,.pool),$(target '.networks | length')" "path /mnt/store fast,0"
status "an option of its own wins" 0 . landfall target set t --reach nbd --store-path none
is "is brought over" "$(target .reach,.store_path)" "nbd "
status "F51: a mapping that is none" 2 "--network: 'br0' does not say what becomes" landfall target set t --network br0
status "a path that is none" 2 'mnt' landfall target set t --store-path mnt
is "nothing of that is set" "$(target .reach,.pool)" "nbd fast"
landfall target set t --network br0=lan --test-network quiet >"$KIT_TMP/log"
landfall target set u --network 日本=lan --test-network quiet >"$KIT_TMP/log"
like "letters as wide as two, and the next column below its title" "$(landfall target list)" \
    $'networks  test network\nt .* br0=lan   quiet\nu .* 日本=lan  quiet'
landfall target set t --network none >"$KIT_TMP/log"
status "the targets" 0 'host +reaches the store.*t +nbd' landfall target list
status "one of them" 0 'memory +1536 MiB' landfall target show t

# --- asking -------------------------------------------------------------------------------------

# on_terminal TEXT COMMAND…: what is typed, and what is said; the exit code comes last. A terminal
# hangs up on what still runs when the typing ends.
on_terminal() {
    { sleep 0.5; printf '%s\n' "$1"; sleep 0.5; } | script -qec "${*:2} 2>&1; echo status \$?" /dev/null || true
}
for verb in migrate rollback complete reverse; do
    status "F50: $verb: without a terminal, without --yes" 2 'no terminal to ask on.*hint: say --yes' landfall "$verb" t/test
    like "F50: $verb: no is no" "$(on_terminal n landfall "$verb" t/test)" 'Go on\? \[y/N\].*nothing has been done.*status 1'
    like "$verb: nothing is no" "$(on_terminal '' landfall "$verb" t/test)" 'nothing has been done'
    status "$verb: with --yes the daemon is asked" '[12]' . landfall "$verb" t/test --yes
    unlike "$verb: and nobody else" "$output" 'Go on'
done
like "yes is yes" "$(on_terminal y landfall rollback t/test)" 'Go on.*hint'
like "F50: migrate says what happens" "$(on_terminal n landfall migrate t/test --at 23:59)" \
    't/test is shut down at 23:59, its last changes are sent, and it is started on t'
like "and without a shutdown" "$(on_terminal n landfall migrate t/test --no-shutdown)" 'goes on running'
unlike "it asks about a machine that is there" "$(on_terminal y landfall migrate fly)" 'Go on'

# --- where there is nothing yet -----------------------------------------------------------------

status "no tests" 0 '^no\. +state' landfall test list t/test
status "no operations" 0 '^no\. +kind' landfall operation list
status "no kind" 2 "no operations of kind 'fly'" landfall operation list --kind fly
status "no such operation" 2 'no operation 7' landfall operation show 7
status "no report" 2 'neither been tested nor moved' landfall report t/test
status "no rehearsal" 2 . landfall rehearsal show t/test
status "a test of what is not replicated" '[12]' . landfall test-migrate t/test
status "goes" 0 'no target any more' landfall target remove t
status "twice" 2 'no target' landfall target remove t
done_testing
