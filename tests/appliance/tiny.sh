# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Machines of one qcow2 disk and no system on it, to be sourced after kit/libvirtd.sh: their QEMU
# answers like any other, and costs little.

# tiny_make NAME SIZE [DEVICES]: defined, not started.
tiny_make() {
    local image=$KIT_TMP/$1.qcow2
    qemu-img create -q -f qcow2 "$image" "$2"
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
    ${3:-}
  </devices>
</domain>
END
}

# tiny_io NAME COMMAND: of qemu-io, done by the machine's QEMU as if by its guest, so that bitmaps see it.
tiny_io() {
    local said
    said=$(virsh -q qemu-monitor-command "$1" --hmp \
        "qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend \"$2\"")
    [ -z "${said//[[:space:]]/}" ] || die "$1: $2: $said"
}
