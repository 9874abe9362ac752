#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A move to a host that does not see the store: the machine boots from disks served by TLS, and they
# come into that host's storage pool while it writes. A full pool, a dead server and a killed step
# cost time and nothing else.
. "$(dirname "$0")/served.sh"
. "$(dirname "$0")/../kit/remote.sh"
requires nbdinfo openssl

remote_start there
there=$KIT_TMP/libvirt-there
guest_make_disk "$KIT_TMP/vda.qcow2" qcow2 256M
dd if=/dev/urandom of="$KIT_TMP/sda.raw" bs=1M count=24 status=none
truncate -s 32M "$KIT_TMP/sda.raw"
ok "a machine runs" served_start --rate 50 --disk "vda:qcow2:$KIT_TMP/vda.qcow2" \
    --disk "sda:raw:$KIT_TMP/sda.raw"
# After what the writer uses of its disk.
guest_run web 'dd if=/dev/urandom of=/dev/vda bs=1M seek=196 count=60 2>/dev/null'
mkdir "$live_store"
guest_destroy web
moved=$(guest_acked web)
cycle web
is "its last state is in the store" "$status" 0

# In the host's own view of the files, and before QEMU looks for them.
in_there() {
    nsenter --target "$(<"$there/pid")" --net --mount "$@"
}

mkdir "$KIT_TMP/pool" "$KIT_TMP/small"
truncate -s 48M "$KIT_TMP/small.img"
mkfs.ext4 -q "$KIT_TMP/small.img"
in_there mount -o loop "$KIT_TMP/small.img" "$KIT_TMP/small"
for pool in pool small; do
    virsh -q -c "$LIBVIRT_OTHER_URI" pool-define-as $pool dir --target "$KIT_TMP/$pool" >/dev/null
done
served_more=$(jq -nc --arg uri "$REMOTE_URI?keyfile=$remote_key" --arg folder "$KIT_TMP/nbd" \
    '{operation: 7, recovery_point: 1, nbd: {folder: $folder}, options: {copy_mib_s: 0},
      target: {uri: $uri, reach: "nbd", store_path: null, pool: "pool"}}')
plain=$served_more

# --- trust and serve -----------------------------------------------------------------------------

ok "F40: trust" served trust
is "puts certificates where QEMU looks" "$(jq -r '.folder, .installed' <<<"$result")" "/etc/pki/qemu"$'\n'true
ok "trust again" served trust
is "finds them" "$(jq -r .installed <<<"$result")" false
is "the key there is QEMU's alone" "$(in_there stat -c '%U %a' /etc/pki/qemu/client-key.pem)" \
    "libvirt-qemu 400"
is "no pool is left of it" "$(virsh -q -c "$LIBVIRT_OTHER_URI" pool-list --name | sed '/^$/d')" ""
ok "pin, clone, serve" served pin clone serve
is "at the address that the host sees" "$(jq -r '.disks[0] | .host, .port, .tls' <<<"$result")" \
    "10.77.0.1"$'\n'10809$'\n'true
server=$(jq -r .server.pid <<<"$result")

info() {
    in_there nbdinfo --size "nbd${2:+s}://10.77.0.1:10809/vda${2:+?tls-certificates=$2&tls-hostname=landfall}"
}
mkdir "$KIT_TMP/other"
cp "$KIT_TMP/nbd/targets/there/ca-cert.pem" "$KIT_TMP/other"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=landfall-there \
    -keyout "$KIT_TMP/other/client-key.pem" -out "$KIT_TMP/other/client-cert.pem" 2>/dev/null
served_more=$(jq -c '.target.host = "elsewhere"' <<<"$plain")
ok "another host of that address" served trust
served_more=$plain
fails "F41: who shows no certificate is not let in" info vda
fails "nor who signed his own" info vda "$KIT_TMP/other"
ok "who has it of us is let in" info vda "$KIT_TMP/nbd/targets/there"
fails "nor another target of ours" info vda "$KIT_TMP/nbd/targets/elsewhere"
ok "the host gets its own back" served trust

# --- copy ----------------------------------------------------------------------------------------

ok "it boots from what is served" served define start
export LIBVIRT_DEFAULT_URI=$LIBVIRT_OTHER_URI
console_follow web
ok "and writes on" guest_wait_acked web 60 $((moved + 20))

served_more=$(jq -c '.target.pool = "small"' <<<"$plain")
fails "F46: into a pool that is too small" served copy
like "it is said why" "$messages" "small is full|the pool is full.*make room in storage pool small"
ok "the machine runs on" guest_wait_more_acked web 30 20
ok "on what is served" disk_is web vda vda

# Copying must last until something has happened.
served_more=$(jq -c '.options.copy_mib_s = 8' <<<"$plain")
ok "a copy is killed on its way" served_killed copy 1
stop_process "$server" KILL
served_more=$plain
ok "F47: killed, with its server: once more" served copy
like "the server was missed" "$messages" "it runs again"
ok "vda is the pool's" disk_is web vda "$KIT_TMP/pool/web-vda.7.qcow2"
ok "sda is the pool's" disk_is web sda "$KIT_TMP/pool/web-sda.7.qcow2"
ok "the machine runs on" guest_wait_more_acked web 30 20
ok "once more changes nothing" served copy
ok "nothing is served any more" served unserve remove-clone unpin
ok "F48: and the machine runs on" guest_wait_more_acked web 30 20
fails "the volumes of a machine stay" served remove-copy
acked=$(guest_acked web)
virsh -q destroy web
export LIBVIRT_DEFAULT_URI=qemu:///system
for disk in vda sda; do
    qemu-img convert -O raw "$KIT_TMP/pool/web-$disk.7.qcow2" "$KIT_TMP/$disk.copy"
done
ok "F49: no record is lost" record-check --at-least "$acked" "$KIT_TMP/vda.copy"
ok "nor anything else" cmp "$KIT_TMP/sda.raw" "$KIT_TMP/sda.copy"
ok "it is undefined" served undefine
ok "its volumes go" served remove-copy
is "all of them" "$(jq -r .removed <<<"$result") $(ls "$KIT_TMP/pool")" "2 "
done_testing
