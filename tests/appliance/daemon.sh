# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of landfalld share: a daemon with folders of the test's own, its state as text, and
# small machines whose processors stand still: their QEMU answers like any other, and costs nothing.

# shellcheck source=tests/kit/libvirtd.sh
. "$(dirname "${BASH_SOURCE[0]}")/../kit/libvirtd.sh"
requires jq qemu-img qemu-io

export PATH="$KIT_BUILD/tests/appliance:$PATH"
state_dir=$KIT_TMP/state
daemon_store=$KIT_TMP/store

# --- the daemon ---------------------------------------------------------------------------------

daemon_is_ready() {
    grep -q '^landfalld: ready' "$KIT_LOG" || process_is_gone "$daemon_pid"
}

daemon_show_log() {
    ! kit_is_failing || [ ! -s "$1" ] || { diag "--- the end of landfalld's log" && tail -n 20 "$1" | diag; }
}

daemon_start() {
    start_background landfalld --state-dir "$state_dir" --runtime-dir "$KIT_TMP/run" --listen 0
    daemon_pid=$KIT_PID
    cleanup_fn daemon_show_log "$KIT_LOG"
    wait_for 20 daemon_is_ready
    ! process_is_gone "$daemon_pid" || { diag <"$KIT_LOG"; return 1; }
}

daemon_stop() {
    stop_process "$daemon_pid" TERM
}

daemon_kill() {
    kill -s KILL "$daemon_pid" 2>/dev/null || true
    { wait "$daemon_pid" || true; } 2>/dev/null
}

# --- its state ----------------------------------------------------------------------------------

tool() {
    state-tool "$state_dir" "$@"
}

# state SQL: its rows, a line each, columns by tab.
state() {
    state-tool "$state_dir" query "$1"
}

# state_is SQL VALUE
state_is() {
    [ "$(state "$1")" = "$2" ]
}

# add_machine NAME JSON: what is on the host becomes a replicated machine; prints its number.
add_machine() {
    local id
    id=$(tool machine local "$(virsh -q domuuid "$1" | tr -d '\n ')" "$1")
    tool replicate "$id" "$2"
    echo "$id"
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

mkdir "$daemon_store"
tool host local "$LIBVIRT_DEFAULT_URI"
tool store main "$daemon_store"
