# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A private libvirt: source this instead of kit.sh and plain qemu:///system is a libvirtd of the
# test's own. The test runs itself again in new mount, process and network namespaces, in which
# /etc/libvirt, /run/libvirt and so on are empty. Tests therefore run in parallel, the machine's own
# libvirtd neither helps nor notices, and the kernel takes every process, mount and bridge away when
# the test ends, even by SIGKILL.
#
# The network has a loopback device and nothing else; KIT_NET=host stays in the machine's network.

kit_children() {
    [ -z "$1" ] || pgrep -P "$1" || true
}

# The outer half: start the inner one and pass signals on. If this shell dies without a chance to
# do so, the kernel kills unshare, and that takes the first process of the namespace along.
kit_enter_namespaces() {
    local child inner pid signal=
    local flags=(--mount --pid --fork --kill-child --mount-proc)
    [ "${KIT_NET:-}" = host ] || flags+=(--net)

    KIT_OUTER_MOUNTS=$(readlink /proc/self/ns/mnt)
    export KIT_OUTER_MOUNTS
    trap 'signal=yes' HUP INT TERM
    KIT_INSIDE=1 env --default-signal=INT,QUIT setpriv --pdeathsig KILL \
        unshare "${flags[@]}" bash "$0" "$@" <&0 &
    child=$!
    while kill -0 $child 2>/dev/null; do
        if [ -n "$signal" ]; then
            # Its children too: bash heeds a signal only when the command it runs has ended.
            inner=$(kit_children "$child")
            for pid in $inner $(kit_children "$inner"); do
                kill -s TERM "$pid" 2>/dev/null || true
            done
            signal=
        fi
        kit_status=0
        wait $child || kit_status=$?
    done
    exit "$kit_status"
}

kit_outer_skip() {
    [ -z "${KIT_NO_SKIP:-}" ] || { echo "# skipping is not allowed here: $1" >&2; exit 1; }
    echo "1..0 # SKIP $1"
    exit 0
}

# The first process of a process namespace is number 1; a test started by a test gets its own.
if [ "${KIT_INSIDE:-}" != 1 ] || [ $$ -ne 1 ]; then
    [ "$(id -u)" -eq 0 ] || kit_outer_skip "only root can make namespaces and run libvirtd"
    for kit_command in libvirtd virsh qemu-system-x86_64 qemu-img unshare setpriv ip pgrep; do
        command -v $kit_command >/dev/null || kit_outer_skip "$kit_command is not installed"
    done
    kit_enter_namespaces "$@"
fi

# shellcheck source=tests/kit/kit.sh
. "$(dirname "${BASH_SOURCE[0]}")/kit.sh"

export LIBVIRT_DEFAULT_URI=qemu:///system

kit_show_libvirt_logs() {
    local file
    for file in "$1/libvirtd.log" /proc/"$2"/root/var/log/libvirt/qemu/*.log; do
        [ -s "$file" ] || continue
        diag "--- the end of ${file##*/}"
        tail -n 15 "$file" | diag
    done
}

# To ask QEMU what it can do takes a libvirtd half a second of the processor: the answer is kept for the tests to
# come. It has its name from the program.
kit_keep_capabilities() {
    local name file kept=$KIT_CAPABILITIES
    name=$(printf /usr/bin/qemu-system-x86_64 | sha256sum | cut -d ' ' -f 1).xml
    file=/var/cache/libvirt/qemu/capabilities/$name
    [ -s "$file" ] && ! cmp -s "$file" "$kept/$name" || return 0
    mkdir -p "$kept"
    cp "$file" "$kept/${KIT_TMP##*/}"
    mv "$kept/${KIT_TMP##*/}" "$kept/$name"
}

# Machines first. All processes here are the test's own: it is a process namespace of its own.
kit_libvirtd_end() {
    local folder=$1 libvirtd pid status=0
    libvirtd=$(<"$folder/pid")
    if kit_is_failing; then kit_show_libvirt_logs "$folder" "$libvirtd"; else kit_keep_capabilities; fi
    for pid in $(pgrep qemu-system); do
        stop_process "$pid" || status=1
    done
    stop_process "$libvirtd" || status=1
    return $status
}

# libvirtd_start: (again) after libvirtd_stop. QEMUs live on in between, as they do for everyone.
libvirtd_start() {
    env --default-signal=INT,QUIT libvirtd -p "$KIT_TMP/libvirt/libvirtd.pid" \
        >"$KIT_TMP/libvirt/stderr" 2>&1 &
    echo $! >"$KIT_TMP/libvirt/pid"
    wait_for 30 virsh -q uri || die "libvirtd did not start: $(tail "$KIT_TMP/libvirt/stderr")"
}

libvirtd_stop() {
    stop_process "$(<"$KIT_TMP/libvirt/pid")"
}

# libvirtd_start_other NAME [FLAG…]: a second libvirt host with folders of its own, and what unshare's
# flags say; sets LIBVIRT_OTHER_URI.
libvirtd_start_other() {
    local folder=$KIT_TMP/libvirt-$1
    shift
    mkdir -p "$folder"
    # shellcheck disable=SC2016  # the inner shell expands it
    unshare --mount --uts "$@" bash -c 'hostname "${2##*/}" &&
        "$1/tests/kit/libvirtd-prepare.sh" "$2" "$2" &&
        exec env --default-signal=INT,QUIT libvirtd -p "$2/libvirtd.pid"' \
        - "$KIT_TOP" "$folder" >"$folder/stderr" 2>&1 &
    echo $! >"$folder/pid"
    LIBVIRT_OTHER_URI="qemu+unix:///system?socket=$folder/libvirt-sock"
    cleanup_fn kit_libvirtd_end "$folder"
    wait_for 30 virsh -q -c "$LIBVIRT_OTHER_URI" uri ||
        die "libvirtd in $folder did not start: $(tail "$folder/stderr")"
}

if [ "${KIT_NET:-}" != host ]; then
    ip link set lo up
    # The old /sys goes on listing the network devices of the machine.
    mount -t sysfs sysfs /sys
fi
mkdir "$KIT_TMP/libvirt"
export KIT_CAPABILITIES=$KIT_BUILD/tests/kit/qemu-capabilities
"$KIT_TOP/tests/kit/libvirtd-prepare.sh" "$KIT_TMP/libvirt"
echo 0 >"$KIT_TMP/libvirt/pid"
cleanup_fn kit_libvirtd_end "$KIT_TMP/libvirt"
libvirtd_start
