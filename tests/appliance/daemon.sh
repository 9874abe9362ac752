# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of landfalld share: a daemon with folders of the test's own, its state as text, and
# small machines whose processors stand still: their QEMU answers like any other, and costs nothing.

# shellcheck source=tests/kit/libvirtd.sh
. "$(dirname "${BASH_SOURCE[0]}")/../kit/libvirtd.sh"
# shellcheck source=tests/appliance/landfalld.sh
. "$(dirname "${BASH_SOURCE[0]}")/landfalld.sh"
# shellcheck source=tests/appliance/tiny.sh
. "$(dirname "${BASH_SOURCE[0]}")/tiny.sh"
requires jq qemu-img sqlite3

daemon_store=$KIT_TMP/store
export LANDFALL_SOCKET=$KIT_TMP/d-run/landfalld.sock

# --- the daemon ---------------------------------------------------------------------------------

# daemon_start: (again). The first time it gets this host and a store, and may be asked for a cycle a
# second.
daemon_start() {
    landfalld_start d
    daemon_pid=$LANDFALLD_PID
    [ -d "$daemon_store" ] && return
    mkdir "$daemon_store"
    landfall host add local "$LIBVIRT_DEFAULT_URI" >/dev/null
    landfall store add main "$daemon_store" >/dev/null
    landfall setting set interval_min_s 1 >/dev/null
}

daemon_stop() {
    stop_process "$daemon_pid" TERM
}

# state SQL: the rows of its answer, a line each, columns by "|".
state() {
    landfalld_sql d "$1"
}

# state_is SQL VALUE
state_is() {
    [ "$(state "$1")" = "$2" ]
}

# replicate NAME OPTION…: once the host has told of the machine and is ready; prints its number.
replicate() {
    wait_for 30 landfall replicate "$1" --store main "${@:2}" || return 1
    state "SELECT id FROM machine WHERE name = '$1'"
}

# --- machines -----------------------------------------------------------------------------------

# tiny_define NAME [SIZE]: started with its processors stopped.
tiny_define() {
    tiny_make "$1" "${2:-1M}"
    virsh -q start --paused "$1" >/dev/null
}

# tiny_write NAME OFFSET LENGTH BYTE
tiny_write() {
    tiny_io "$1" "write -q -P $4 $2 $3"
}

# What is ours on the host, as text: checkpoints, backup jobs.
left_of() {
    echo "checkpoints: $(virsh -q checkpoint-list "$1" --name | grep -c . || true)," \
        "$(virsh -q domjobinfo "$1" | grep 'Job type' | xargs)"
}
