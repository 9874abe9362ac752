#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# F30: what the translation makes of real definitions fits libvirt's schema, is taken by libvirt, and is
# what libvirt gives back.
. "$(dirname "$0")/../kit/libvirtd.sh"

PATH=$KIT_BUILD/tests/failover:$PATH
requires virt-xml-validate xmllint jq swtpm
[ -e /usr/share/OVMF/OVMF_CODE_4M.ms.fd ] || skip_all "ovmf is not installed"

# What a test machine of the kit looks like to libvirt, in its two families.
minimal() {
    sed "s|pc-q35-7.2|$1|; s|type='kvm'|type='qemu'|" <<'END'
<domain type='kvm'><name>plain</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/srv/a.qcow2'/>
<target dev='vda' bus='virtio'/></disk><interface type='user'/><serial type='pty'/></devices></domain>
END
}
for machine in pc q35; do
    minimal $machine >"$KIT_TMP/plain-$machine.xml"
    virsh -q define "$KIT_TMP/plain-$machine.xml"
    virsh dumpxml --inactive plain >"$KIT_TMP/plain-$machine.xml"
    virsh -q undefine plain
done

# translates PURPOSE FILE: into $KIT_TMP/out.xml
translates() {
    translate-file "$1" "$2" >"$KIT_TMP/out.xml" 2>"$KIT_TMP/changes"
}

# libvirt takes it, schema and all; what it gives back needs no change any more.
is_taken() {
    local name
    name=$(xmllint --xpath 'string(/domain/name)' "$KIT_TMP/out.xml")
    virsh -q define --validate "$KIT_TMP/out.xml" || return 1
    virsh dumpxml --inactive "$name" >"$KIT_TMP/back-$1.xml"
    virsh -q undefine --nvram "$name"
}

for file in tests/unit/domains/*.xml "$KIT_TMP"/plain-*.xml; do
    name=$(basename "$file" .xml)
    for purpose in migrate test nbd; do
        ok "$name, $purpose: is translated" translates "$purpose" "$file"
        ok "$name, $purpose: fits the schema" virt-xml-validate "$KIT_TMP/out.xml" domain
        ok "$name, $purpose: libvirt takes it" is_taken "$name-$purpose"
    done
done

# What was translated once for this host, and came back from libvirt, is for this host: nothing of it
# belongs to another.
ok "again: as it came from libvirt" translates migrate "$KIT_TMP/back-host-bound-migrate.xml"
is "again: nothing is left to lose but what is on no disk" \
    "$(jq -r '[.changes[].what | select(startswith("disk") | not)] | join(", ")' <"$KIT_TMP/changes")" \
    "UEFI variables, TPM"

# The screen is of the host's, the address too: nobody but the host may look.
ok "host-bound, migrate: once more" translates migrate tests/unit/domains/host-bound.xml
is "screens are the host's own" \
    "$(xmllint --xpath 'count(//graphics[@listen="127.0.0.1"])' "$KIT_TMP/out.xml")" 2
source_only='/opt/qemu|/dev/tpm0|hostdev|/srv/shared|192\.0\.2\.1|/srv/iso|hugepages|cpuset'
is "nothing of the source's devices is left" \
    "$(grep -cE "$source_only" "$KIT_TMP/out.xml" || true)" 0
# --- a machine with UEFI and a TPM, for real ----------------------------------------------------

minimal q35 | sed "s|<os>|<features><acpi/></features><os firmware='efi'>|
    s|<interface|<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm><interface|" >"$KIT_TMP/uefi.xml"
virsh -q define "$KIT_TMP/uefi.xml"
virsh dumpxml --inactive plain >"$KIT_TMP/uefi.xml"
virsh -q undefine --nvram plain
mkdir -p "$KIT_TMP/clones"
chmod 777 "$KIT_TMP/clones"
qemu-img create -q -f qcow2 "$KIT_TMP/clones/vda.qcow2" 16M
chmod 666 "$KIT_TMP/clones/vda.qcow2" # its owner is left alone
ok "UEFI: is translated" translates test "$KIT_TMP/uefi.xml"
sed -i "s|/srv/clones|$KIT_TMP/clones|; /<backingStore/,/<.backingStore>/d" "$KIT_TMP/out.xml"
virsh -q net-create <(echo "<network><name>isolated</name><bridge name='lf-isolated'/></network>") >/dev/null
virsh -q define "$KIT_TMP/out.xml"
ok "F30: UEFI: starts" virsh -q start a-test
ok "F30: UEFI: has variables of its own" test -s "$KIT_TMP/clones/nvram.fd"
is "F30: UEFI: they are the template's size" "$(stat -c %s "$KIT_TMP/clones/nvram.fd")" \
    "$(stat -c %s /usr/share/OVMF/OVMF_VARS_4M.fd)"
is "F30: UEFI: runs" "$(virsh -q domstate a-test | head -n 1)" running
virsh -q destroy a-test
virsh -q undefine --nvram a-test
done_testing
