# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Real machines for tests: source this instead of libvirtd.sh. A guest is a busybox system that
# boots in seconds, writes in a way that can be checked afterwards (tests/guest/record.h), and runs
# commands for the test. All functions take the machine's name first and use LIBVIRT_DEFAULT_URI,
# so they work for a clone and on another host too.

# shellcheck source=tests/kit/libvirtd.sh
. "$(dirname "${BASH_SOURCE[0]}")/libvirtd.sh"

declare -A guest_channels=()
declare -A guest_channel_paths=()
declare -A guest_console_start=()
# The tests that the kernel makes of its ciphers take the emulated processor a second, and the one of its timer
# fails where the processor is late. Nobody attacks it by speculation.
kit_kernel_words="console=ttyS0 quiet panic=-1 no_timer_check mitigations=off cryptomgr.notests initcall_blacklist=crypto_kdf108_init"

kit_prepare_boot() {
    local file
    compgen -G '/boot/vmlinuz-*-cloud-amd64' >/dev/null ||
        skip_all "linux-image-cloud-amd64 is not installed"
    # In memory, and gone with the test. Its folder cannot be removed before.
    mkdir "$KIT_TMP/boot"
    mount -t tmpfs -o mode=755 landfall-test "$KIT_TMP/boot"
    cleanup_fn umount -l "$KIT_TMP/boot"
    for file in kernel initramfs; do
        [ -s "$KIT_BUILD/tests/guest/$file" ] || die "no $file in $KIT_BUILD: run make kit"
        # libvirt gives them to QEMU's user, which must not happen to files that others use.
        cp "$KIT_BUILD/tests/guest/$file" "$KIT_TMP/boot/$file"
    done
    cleanup_fn kit_show_consoles
}

kit_show_consoles() {
    local file
    kit_is_failing || return 0
    for file in "$KIT_TMP"/*.console; do
        [ -s "$file" ] || continue
        diag "--- the end of ${file##*/}"
        tail -n 15 "$file" | tr -d '\r' | diag
    done
}

# --- Definition ---------------------------------------------------------------------------------

# TARGET:FORMAT:PATH[:ATTRIBUTE=VALUE,…] → <disk>; the attributes are those of <driver>. vdX is on
# virtio, sdX on virtio-scsi, hdX on IDE; a PATH below /dev is a block device.
kit_disk_xml() {
    local target format path attributes bus type=file source=file driver=" discard='unmap'" pair
    IFS=: read -r target format path attributes <<<"$1"
    case $target in
    vd*) bus=virtio ;;
    sd*) bus=scsi ;;
    *) bus=ide ;;
    esac
    [[ $path != /dev/* ]] || { type=block source=dev; }
    for pair in ${attributes//,/ }; do
        [ "${pair%%=*}" != discard ] || driver=
    done
    for pair in ${attributes//,/ }; do
        driver+=" ${pair%%=*}='${pair#*=}'"
    done
    cat <<END
    <disk type='$type' device='disk'>
      <driver name='qemu' type='$format'$driver/>
      <source $source='$path'/>
      <target dev='$target' bus='$bus'/>
    </disk>
END
}

# guest_xml NAME OPTION…: prints the domain. Options, those with + as often as wanted:
#   --disk TARGET:FORMAT:PATH[:driver attributes] +   --mode idle|writer|agentfs
#   --agent               a guest agent and its channel
#   --rate N --limit N    of the writer
#   --memory MIB (160)    --machine TYPE (pc)         --uuid UUID
#   --network NAME +      a card in that libvirt network
#   --append TEXT         more words for the kernel
#   --boot disk           from its first disk (guest_make_booting_disk), which holds the words too
guest_xml() {
    local name=$1 mode=idle memory=160 machine=pc append='' uuid='' devices='' scsi='' boot=kernel console
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        --disk)
            devices+=$(kit_disk_xml "$2")$'\n'
            [[ $2 != sd* ]] || scsi="    <controller type='scsi' model='virtio-scsi'/>"$'\n'
            ;;
        --mode) mode=$2 ;;
        --rate) append+=" landfall.rate=$2" ;;
        --limit) append+=" landfall.limit=$2" ;;
        --memory) memory=$2 ;;
        --machine) machine=$2 ;;
        --uuid) uuid="<uuid>$2</uuid>" ;;
        --append) append+=" $2" ;;
        --boot) boot=$2 ;;
        --network) devices+="    <interface type='network'><source network='$2'/><model \
type='virtio'/></interface>"$'\n' ;;
        --agent)
            devices+="    <channel type='unix'><target type='virtio' \
name='org.qemu.guest_agent.0'/></channel>"$'\n'
            set -- --agent "$@"
            ;;
        *) die "guest_xml: unknown option $1" ;;
        esac
        shift 2
    done
    console="<serial type='file'><source path='$KIT_TMP/$name.console' append='on'/>"
    if [ "$boot" = disk ]; then
        # As most machines have it: with one a terminal can be opened on.
        console="<serial type='pty'><log file='$KIT_TMP/$name.console' append='on'/>"
        boot="    <boot dev='hd'/>"
        devices+="    <video><model type='vga'/></video>"$'\n'
    else
        boot="    <kernel>$KIT_TMP/boot/kernel</kernel>
    <initrd>$KIT_TMP/boot/initramfs</initrd>
    <cmdline>$kit_kernel_words landfall.mode=$mode$append</cmdline>"
    fi
    console+="<target port='0'/></serial>"
    cat <<END
<domain type='qemu'>
  <name>$name</name>
  $uuid
  <memory unit='MiB'>$memory</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='$machine'>hvm</type>
$boot
  </os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
$devices$scsi    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    $console
    <serial type='pty'><target port='1'/></serial>
  </devices>
</domain>
END
}

guest_define() {
    guest_xml "$@" >"$KIT_TMP/$1.xml"
    virsh -q define "$KIT_TMP/$1.xml" >"$KIT_TMP/.define" 2>&1 || die "$(<"$KIT_TMP/.define")"
}

# guest_make_disk PATH FORMAT SIZE [ext4]: an empty disk, or one for the agentfs mode.
guest_make_disk() {
    qemu-img create -q -f raw "$1.new" "$3"
    [ "${4:-}" != ext4 ] || mkfs.ext4 -q "$1.new"
    if [ "$2" = raw ]; then
        mv "$1.new" "$1"
    else
        qemu-img convert -f raw -O "$2" "$1.new" "$1"
        rm "$1.new"
    fi
}

# guest_make_booting_disk PATH FORMAT SIZE [KERNEL-WORDS]: one that boots by itself, for a guest defined
# with --boot disk. It writes records on a partition of it (landfall.mode=writer) unless told otherwise;
# what lies behind 96 MiB is empty.
guest_make_booting_disk() {
    cp --sparse=always "$KIT_BUILD/tests/guest/boot-disk" "$1.new"
    truncate -s "$3" "$1.new"
    cat >"$1.menu" <<END
linux16 /boot/vmlinuz $kit_kernel_words landfall.root=landfall-root ${4:-landfall.mode=writer}
initrd16 /boot/initramfs
boot
END
    debugfs -w -f /dev/stdin "$1.new?offset=1048576" >"$1.log" 2>&1 <<END
write $1.menu boot/grub.cfg
END
    ! grep -qv '^debugfs\|^Allocated' "$1.log" || die "$(<"$1.log")"
    qemu-img convert -f raw -O "$2" "$1.new" "$1"
    rm "$1.new" "$1.menu" "$1.log"
}

# --- Power --------------------------------------------------------------------------------------

guest_state() {
    virsh -q domstate "$1" | head -n 1
}

guest_is_off() {
    [ "$(guest_state "$1")" = "shut off" ]
}

# guest_start NAME [virsh start's options]: then guest_wait_ready.
guest_start() {
    local name=$1
    shift
    guest_console_start[$name]=$(stat -c %s "$KIT_TMP/$name.console" 2>/dev/null || echo 0)
    virsh -q start "$name" "$@"
    guest_open_channel "$name"
}

guest_shutdown() {
    virsh -q shutdown "$1"
    wait_for "$(kit_guest_deadline "${2:-30}")" guest_is_off "$1"
}

guest_destroy() {
    virsh -q destroy "$1"
}

guest_qemu_pid() {
    local root=/proc/self/root
    [ "$LIBVIRT_DEFAULT_URI" = qemu:///system ] ||
        root=/proc/$(<"$(sed 's/.*socket=\(.*\)\/[^/]*$/\1/' <<<"$LIBVIRT_DEFAULT_URI")/pid")/root
    cat "$root/run/libvirt/qemu/$1.pid"
}

# guest_power_cut NAME: QEMU dies as it would with its host, and takes its bitmaps along.
guest_power_cut() {
    local pid
    pid=$(guest_qemu_pid "$1")
    stop_process "$pid" KILL
    wait_for 10 guest_is_off "$1"
}

# --- Console ------------------------------------------------------------------------------------

# What the guest has printed since the last guest_start.
guest_console() {
    tail -c +"$((${guest_console_start[$1]:-0} + 1))" "$KIT_TMP/$1.console" | tr -d '\r'
}

kit_console_has() {
    guest_console "$1" | grep -aq -- "$2"
}

# A deadline is for what hangs: where ten tests run beside it, a guest is slower by as much, and a boot may take
# minutes. What a test asks for is therefore the least.
kit_guest_deadline() {
    echo $(($1 < 240 ? 240 : $1))
}

# guest_wait_console NAME SECONDS BASIC-REGEX
guest_wait_console() {
    wait_for "$(kit_guest_deadline "$2")" kit_console_has "$1" "$3"
}

guest_wait_ready() {
    guest_wait_console "$1" "${2:-60}" '^ready'
}

# The highest acknowledged record, 0 if there is none. A whole line: the last may be half there.
guest_acked() {
    local text='' line=$'\n'
    IFS= read -r -d '' text < <(tail -c 4096 "$KIT_TMP/$1.console") || true
    [[ $line${text//$'\r'/} =~ .*${line}ack\ ([0-9]+)$line ]] && echo "${BASH_REMATCH[1]}" || echo 0
}

kit_acked_at_least() {
    [ "$(guest_acked "$1")" -ge "$2" ]
}

# guest_wait_acked NAME SECONDS NUMBER; guest_wait_more_acked NAME SECONDS COUNT
guest_wait_acked() {
    wait_for "$(kit_guest_deadline "$2")" kit_acked_at_least "$1" "$3"
}

guest_wait_more_acked() {
    guest_wait_acked "$1" "$2" $(($(guest_acked "$1") + $3))
}

# guest_stop_writing NAME: its disks stay as they are from here on; prints the last record's number.
guest_stop_writing() {
    guest_run "$1" 'killall -TERM record-writer; while pidof record-writer; do usleep 20000; done' \
        >/dev/null
    guest_acked "$1"
}

# --- Commands in the guest ----------------------------------------------------------------------

# Kept open while the machine runs: QEMU looks only once a second for someone at the other end.
guest_open_channel() {
    local name=$1 path fd
    path=$(virsh dumpxml "$name" | sed -n "/<serial type='pty'/,/<\/serial>/s/.*path='\([^']*\)'.*/\1/p" |
        tail -n 1)
    [ -n "$path" ] || die "$name has no channel for commands"
    [ "${guest_channel_paths[$name]:-}" != "$path" ] || return 0
    if [ -n "${guest_channels[$name]:-}" ]; then
        fd=${guest_channels[$name]}
        exec {fd}>&-
    fi
    stty -F "$path" raw -echo
    exec {fd}<>"$path"
    guest_channels[$name]=$fd
    guest_channel_paths[$name]=$path
}

# guest_run NAME COMMAND: runs a line of shell in the guest, prints its output, has its status.
# KIT_GUEST_SECONDS (60) is how long it may take.
guest_run() {
    local name=$1 command=$2 fd deadline token line='' part ended verb answer status output
    guest_open_channel "$name"
    fd=${guest_channels[$name]}
    token=$RANDOM$RANDOM$RANDOM
    deadline=$(($(kit_now) + ${KIT_GUEST_SECONDS:-60} * 1000000))
    echo "run $token $(base64 -w0 <<<"$command")" >&"$fd"
    while [ "$(kit_now)" -lt "$deadline" ]; do
        # The second may be over in the middle of a line: what came of it is kept.
        ended=yes
        IFS= read -r -t 1 part <&"$fd" || ended=
        line+=$part
        [ -n "$ended" ] || continue
        read -r verb answer status output <<<"$line"
        line=
        if [ "$verb $answer" = "done $token" ]; then
            base64 -d <<<"$output"
            return "$status"
        fi
    done
    diag "$name did not answer within ${KIT_GUEST_SECONDS:-60} s: $command"
    return 124
}

# --- Chosen changes -----------------------------------------------------------------------------

# The bytes that guest_write leaves, for comparison: pattern WORD LENGTH
pattern() {
    set +o pipefail
    yes "$1" | head -c "$2"
    set -o pipefail
}

# guest_write NAME DISK OFFSET LENGTH WORD: the word again and again, on the disk when it returns.
guest_write() {
    guest_run "$1" "yes '$5' | head -c $4 |
        dd of=/dev/$2 bs=64k oflag=seek_bytes seek=$3 conv=notrunc,fsync 2>/dev/null"
}

guest_zero() {
    guest_run "$1" "head -c $4 /dev/zero |
        dd of=/dev/$2 bs=64k oflag=seek_bytes seek=$3 conv=notrunc,fsync 2>/dev/null"
}

guest_discard() {
    guest_run "$1" "blkdiscard -o $3 -l $4 /dev/$2"
}

kit_prepare_boot
