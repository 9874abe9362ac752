# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Hosts behind ssh, to be sourced after libvirtd.sh or guest.sh. The home folder and the ssh servers
# are the test's own: keys and known hosts end with it. The servers are dropbear's, because its package
# starts no service on the machine it is installed on.

requires ssh ssh-keygen nc dropbear dropbearkey
kit_home=$(getent passwd root | cut -d: -f6)
case $KIT_TOP/:$KIT_BUILD/ in
"$kit_home"/* | *:"$kit_home"/*) skip_all "the tree lies in the home folder that this test replaces" ;;
esac
mount -t tmpfs -o mode=700 tmpfs "$kit_home"
mkdir -m 700 "$kit_home/.ssh"
remote_key=$kit_home/.ssh/user
ssh-keygen -q -t ed25519 -N '' -f "$remote_key"
cp "$remote_key.pub" "$kit_home/.ssh/authorized_keys"
chmod 600 "$kit_home/.ssh/authorized_keys"
dropbearkey -t ed25519 -f "$kit_home/.ssh/host" >"$kit_home/.ssh/host.txt" 2>/dev/null

# remote_serve ADDRESS PORT [COMMAND…]: an ssh server there, started by the command (as nsenter).
remote_serve() {
    local address=$1 port=$2
    shift 2
    start_background "$@" dropbear -F -E -s -P "$KIT_TMP/dropbear-$port.pid" -r "$kit_home/.ssh/host" \
        -p "$address:$port"
    echo "[$address]:$port $(grep '^ssh-ed25519' "$kit_home/.ssh/host.txt")" >>"$kit_home/.ssh/known_hosts"
    wait_for 10 nc -z "$address" "$port"
}

# remote_start NAME: a second libvirt host with a network of its own, which is reached by a cable and
# ssh only; sets REMOTE_URI. Beside the test it is LIBVIRT_OTHER_URI, for guest_define and so on.
remote_start() {
    local there=10.77.0.2 pid
    libvirtd_start_other "$1" --net
    pid=$(<"$KIT_TMP/libvirt-$1/pid")
    ip link add cable type veth peer name eth0 netns "$pid"
    ip address add 10.77.0.1/24 dev cable
    ip link set cable up
    nsenter --target "$pid" --net --mount bash -c 'ip link set lo up && ip link set eth0 up &&
        ip address add "$1/24" dev eth0 && ln -s "$2/libvirt-sock" /run/libvirt/libvirt-sock' - \
        "$there" "$KIT_TMP/libvirt-$1"
    remote_serve "$there" 2200 nsenter --target "$pid" --net --mount
    REMOTE_URI=qemu+ssh://root@$there:2200/system
}
