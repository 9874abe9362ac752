#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The private libvirt, judged from outside: two tests at once do not meet, the machine's own libvirt
# is not touched, and nothing stays whatever ends a test, even where it had no time to clean up.

. "$(dirname "$0")/kit.sh"
[ "$(id -u)" -eq 0 ] || skip_all "only root can make namespaces"
requires libvirtd virsh qemu-system-x86_64 pgrep

# A test with a running guest of its own, which then waits for its end.
cat >"$KIT_TMP/inner.t" <<END
#!/bin/bash
. "$KIT_TOP/tests/kit/guest.sh"
guest_define same-name --memory 64
virsh -q net-define <(echo '<network><name>n</name><bridge name="lfbr0"/></network>')
virsh -q net-start n
virsh -q start --paused same-name
touch "\$1"
[ "\$2" = stay ] || sleep 100
pass "it ran"
done_testing
END

outside_state() {
    findmnt -rno TARGET,SOURCE
    ip -o link | cut -d: -f2
    find /etc/libvirt -newer "$KIT_TMP/inner.t"
}

# Sets KIT_PID; its temporary folder is alone in $KIT_TMP/NAME.
start_inner() {
    mkdir -p "$KIT_TMP/$1"
    TMPDIR=$KIT_TMP/$1 start_background bash "$KIT_TMP/inner.t" "$KIT_TMP/$1.up" "${2:-sleep}"
    wait_for 60 is_decided "$1" "$KIT_PID"
    [ -e "$KIT_TMP/$1.up" ] || die "the inner test did not come up: $(tail "$KIT_LOG")"
}

is_decided() {
    [ -e "$KIT_TMP/$1.up" ] || process_is_gone "$2"
}

processes_of() {
    pgrep -f "$KIT_TMP/$1/lf" || true
}

nothing_runs() {
    [ -z "$(processes_of "$1")" ]
}

outside=$(outside_state)

start_inner one
one=$KIT_PID
start_inner two
is "each has a libvirtd and a QEMU" \
    "$(processes_of one | wc -l) $(processes_of two | wc -l)" "2 2"
is "outside all is as it was" "$(outside_state)" "$outside"

stop_process "$KIT_PID"
ok "SIGTERM: its processes are gone" nothing_runs two
is "SIGTERM: its folder is gone" "$(ls -A "$KIT_TMP/two")" ""
is "the other one still runs" "$(processes_of one | wc -l)" 2

# With SIGKILL nobody can remove the folder; the kernel does the rest.
stop_process "$one" KILL
ok "SIGKILL: its processes are gone" wait_for 10 nothing_runs one
rm -rf "$KIT_TMP/one"

start_inner three
stop_process "$KIT_PID" INT
ok "SIGINT: its processes are gone" nothing_runs three
is "SIGINT: its folder is gone" "$(ls -A "$KIT_TMP/three")" ""

start_inner four stay
ok "the end: the test ends" wait_for 20 process_is_gone "$KIT_PID"
like "the end: well" "$(<"$KIT_LOG")" "^ok 1 - it ran"
ok "the end: its processes are gone" nothing_runs four
is "the end: its folder is gone" "$(ls -A "$KIT_TMP/four")" ""
is "outside all is still as it was" "$(outside_state)" "$outside"

done_testing
