#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A machine with UEFI is tested with the variables that it has: entries to boot from, keys.
. "$(dirname "$0")/target.sh"
compgen -G '/usr/share/OVMF/*_VARS*' >/dev/null || compgen -G '/usr/share/OVMF/OVMF_VARS*' >/dev/null ||
    skip_all "there is no UEFI firmware for guests"

guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 32M
guest_xml web --disk "vda:qcow2:$KIT_TMP/vda.qcow2" --machine q35 |
    sed "s,<os>,<os firmware='efi'>,; /<kernel>/d; /<initrd>/d; /<cmdline>/d" >"$KIT_TMP/web.xml"
virsh -q define "$KIT_TMP/web.xml" >/dev/null
virsh -q start web --paused
variables=$(virsh dumpxml web | sed -n 's,.*<nvram[^>]*>\(.*\)</nvram>,\1,p')
cycle web
cycle_ok "a machine with UEFI has a recovery point"
virsh -q destroy web >/dev/null
printf 'a mark of its own' | dd of="$variables" bs=1 seek=100000 conv=notrunc 2>/dev/null
original=$(sha256sum <"$variables")
before=$(target_host)

target_machine=web
target_steps 1 '{}' pin clone && pass "F21: it is cloned" || fail "F21: it is cloned"
is "F21: with the variables that it has" "$(sha256sum <"$(jq -r .nvram <<<"$result")")" "$original"
target_steps 1 '{}' clone test-network define start && pass "F21: and started" || fail "F21: and started"
is "F21: from the copy" "$(virsh dumpxml web-1 | grep -c "<nvram.*/clones/1/nvram.fd</nvram>")" 1
target_steps 1 '{}' "${target_undoes[@]}" && pass "F26: all of it goes" || fail "F26: all of it goes"
is "F26: nothing is left" "$(target_host)" "$before"
is "the machine's own are as they were" "$(sha256sum <"$variables")" "$original"
done_testing
