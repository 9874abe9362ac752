# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of landfalld share: a daemon with folders of the test's own, its state as text, and
# small machines whose processors stand still: their QEMU answers like any other, and costs nothing.

# shellcheck source=tests/kit/libvirtd.sh
. "$(dirname "${BASH_SOURCE[0]}")/../kit/libvirtd.sh"
# shellcheck source=tests/appliance/landfalld.sh
. "$(dirname "${BASH_SOURCE[0]}")/landfalld.sh"
requires jq qemu-img sqlite3

daemon_store=$KIT_TMP/store
export LANDFALL_SOCKET=$KIT_TMP/d-run/landfalld.sock

# --- the daemon ---------------------------------------------------------------------------------

daemon_show_log() {
    ! kit_is_failing || [ ! -s "$1" ] || { diag "--- the end of landfalld's log" && tail -n 20 "$1" | diag; }
}

# daemon_start: (again). The first time it gets this host and a store, and may be asked for a cycle a
# second.
daemon_start() {
    landfalld_start d
    daemon_pid=$LANDFALLD_PID
    cleanup_fn daemon_show_log "$LANDFALLD_LOG"
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

# tiny_define NAME [SIZE]: a machine of one qcow2 disk, started with its processors stopped.
tiny_define() {
    local image=$KIT_TMP/$1.qcow2
    qemu-img create -q -f qcow2 "$image" "${2:-1M}"
    chmod 666 "$image"
    virsh -q define /dev/stdin >/dev/null <<END
<domain type='qemu'>
  <name>$1</name>
  <memory unit='MiB'>8</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='$image'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
END
    virsh -q start --paused "$1" >/dev/null
}

# tiny_write NAME OFFSET LENGTH BYTE: as the guest would, through QEMU, so that bitmaps see it.
tiny_write() {
    local said
    said=$(virsh -q qemu-monitor-command "$1" --hmp \
        "qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend \"write -q -P $4 $2 $3\"")
    [ -z "${said//[[:space:]]/}" ] || die "$1: cannot write: $said"
}

# What is ours on the host, as text: checkpoints, backup jobs.
left_of() {
    echo "checkpoints: $(virsh -q checkpoint-list "$1" --name | grep -c . || true)," \
        "$(virsh -q domjobinfo "$1" | grep 'Job type' | xargs)"
}
