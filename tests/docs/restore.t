#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The way back without Landfall, as landfall-store(5) prints it: followed to the letter, with stock
# tools only, on another host, until the machine writes again where it left off.
. "$(dirname "$0")/../kit/guest.sh"
requires qemu-img jq

store=$KIT_TMP/store
guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 64M
guest_make_disk "$KIT_TMP/vdb.raw" raw 48M
guest_define m1 --mode writer --disk "vda:qcow2:$KIT_TMP/vda.qcow2" --disk "vdb:raw:$KIT_TMP/vdb.raw"
uuid=$(virsh domuuid m1)
guest_start m1
guest_wait_ready m1
guest_wait_acked m1 30 20
acked=()
for n in 1 2 3; do
    acked[n]=$(guest_acked m1)
    ok "cycle $n" landfall cycle --host qemu:///system --machine m1 --store "$store"
    guest_wait_more_acked m1 30 20
done
guest_destroy m1

# The host burns down, and the appliance with it: the store is what is left. No command of ours is
# in the path from here on but the checker.
rm "$KIT_TMP"/vd?.* "$KIT_TMP/m1.xml"
cp "$(command -v record-check)" "$KIT_TMP/record-check"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
libvirtd_start_other spare
export LIBVIRT_DEFAULT_URI=$LIBVIRT_OTHER_URI

# The first example of the section, with the three values of a reader.
awk '/^# / { inside = /^# GETTING A MACHINE BACK/ } inside && /^```/ { n++; next } inside && n == 1' \
    "$KIT_TOP/doc/landfall-store.5.scd" >"$KIT_TMP/recipe"
like "the page has the recipe" "$(<"$KIT_TMP/recipe")" 'qemu-img convert'
for n in 1 3; do
    target=$KIT_TMP/target-$n
    mkdir "$target"
    sed -E -e "s#^machine=.*#machine=$store/$uuid#" -e "s#^number=.*#number=00000$n#" \
        -e "s#^target=.*#target=$target#" "$KIT_TMP/recipe" >"$KIT_TMP/recipe-$n"
    cd "$target" || exit
    ok "recovery point $n: the recipe runs" bash -e "$KIT_TMP/recipe-$n"
    for disk in vda vdb; do
        qemu-img convert -O raw "$target/$disk.qcow2" "$KIT_TMP/$disk.raw"
    done
    ok "recovery point $n: what was acknowledged is there" \
        "$KIT_TMP/record-check" --at-least "${acked[n]}" "$KIT_TMP/vda.raw" "$KIT_TMP/vdb.raw"
done

# "Now edit machine.xml": the paths, and the format of what was raw.
sed -E -e "s#'$KIT_TMP/(vd.)\.(qcow2|raw)'#'$target/\1.qcow2'#" -e "s#(<driver [^>]*type=)'raw'#\1'qcow2'#" \
    machine.xml >edited.xml
ok "virsh define" virsh define edited.xml
: >"$KIT_TMP/m1.console"
guest_start m1
ok "the machine boots" guest_wait_ready m1
ok "and goes on after its last record" guest_wait_acked m1 30 $((acked[3] + 1))
is "no write fails" "$(guest_console m1 | grep -c '^error' || true)" 0
done_testing
