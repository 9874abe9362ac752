# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of moves share: two libvirt hosts, a daemon that knows both, a machine that boots by
# itself and counts, and a witness who says whether two of it ever ran. The source is qemu:///system,
# called "here"; the target, "there", sees the store where it lies.

# shellcheck source=tests/kit/guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/../kit/guest.sh"
# shellcheck source=tests/appliance/landfalld.sh
. "$(dirname "${BASH_SOURCE[0]}")/../appliance/landfalld.sh"
# shellcheck source=tests/appliance/tiny.sh
. "$(dirname "${BASH_SOURCE[0]}")/../appliance/tiny.sh"
requires jq qemu-img python3 debugfs sqlite3

store=$KIT_TMP/store
export LANDFALL_SOCKET=$KIT_TMP/d-run/landfalld.sock
machine=m1
# Of tests on a loaded machine: what may take that long has failed.
patience=240

there() {
    LIBVIRT_DEFAULT_URI=$there_uri "$@"
}

# --- hosts ----------------------------------------------------------------------------------------

# define_network NAME BRIDGE
define_network() {
    virsh -q net-define /dev/stdin <<<"<network><name>$1</name><bridge name='$2'/></network>" >/dev/null
    virsh -q net-start "$1"
}

# two_hosts [far]: the machine's network is "production" here and "lan" there; far: the daemon reaches the
# other host by ssh, as it must where machines are replicated from there. Wants tests/kit/remote.sh.
two_hosts() {
    define_network production prod0
    if [ "${1:-}" = far ]; then
        remote_start there
        there_host=("$REMOTE_URI" --ssh-key-file "$remote_key")
    else
        libvirtd_start_other there
        there_host=("$LIBVIRT_OTHER_URI")
    fi
    there_uri=$LIBVIRT_OTHER_URI
    there define_network lan lan0
    start_witness
}

# define_counting NAME [RATE [SIZE]]: a machine that boots from its disk; it is not started.
define_counting() {
    local disk=$KIT_TMP/$1.qcow2
    guest_make_booting_disk "$disk" qcow2 "${3:-128M}" "landfall.mode=writer landfall.rate=${2:-25}"
    guest_define "$1" --boot disk --disk "vda:qcow2:$disk" --network production --memory 128
}

# define_empty NAME: a machine with nothing on its disk, which runs.
define_empty() {
    tiny_make "$1" 8M "<interface type='network'><source network='production'/></interface>"
    virsh -q start "$1" >/dev/null
}

# --- the daemon -----------------------------------------------------------------------------------

# start_daemon: (again).
start_daemon() {
    landfalld_start d
}

kill_daemon() {
    stop_process "$LANDFALLD_PID" KILL
}

# replicated NAME…: a new daemon that knows both hosts, and one recovery point of each machine.
replicated() {
    local name
    start_daemon
    landfall host add here "$LIBVIRT_DEFAULT_URI" >/dev/null
    landfall host add there "${there_host[@]}" >/dev/null
    landfall store add main "$store" >/dev/null
    landfall setting set interval_min_s 1 >/dev/null
    landfall target set there --network production=lan --store-path "$store" >/dev/null
    for name; do
        wait_for 30 landfall replicate "$name" --store main --interval 1h >/dev/null 2>&1
    done
    for name; do
        wait_for $patience has_point "$name"
    done
}

has_point() {
    [ "$(landfall machine show "$1" --json | jq '.replication.last_point // 0')" -gt 0 ]
}

state_of() {
    landfall machine show "$1" --json | jq -r .state
}

# said_by NAME STATUS REGEX COMMAND…: the exit code, and what is said on both streams.
said_by() {
    local name=$1 expected=$2 regex=$3
    shift 3
    run "$@"
    is "$name: exit code" "$status" "$expected"
    like "$name: what is said" "$output" "$regex"
    [ "$status" = "$expected" ] || diag "$output"
}

# operation FILTER [KIND]: of the newest operation of the machine that is, or was, replicated here, or of $known.
operation() {
    landfall operation list --machine "${known:-here/$machine}" --json |
        jq -r --arg kind "${2:-}" "[.items[] | select(\$kind == \"\" or .kind == \$kind)][0] | $1"
}

# --- the guest, wherever it runs -------------------------------------------------------------------

# console_of NAME: the file that its first serial port is written to.
console_of() {
    virsh -q dumpxml "$1" | sed -n "s/.*<log file='\([^']*\)'.*/\1/p" | head -n 1
}

# acked_in FILE: the last record acknowledged there.
acked_in() {
    local last
    last=$(tr -d '\r' <"$1" | grep -a -o '^ack [0-9]*$' | tail -n 1) || true
    echo "${last#ack }" | grep . || echo 0
}

acked_more_in() {
    [ "$(acked_in "$1")" -gt "$2" ]
}

# counts_on NAME FILE AT-LEAST [AT-MOST [SINCE]]: a life of the guest, told of in that file after SINCE bytes,
# began after one of these records, or one more, and goes on.
counts_on() {
    local from
    tail -c +$((${5:-0} + 1)) "$2" >"$KIT_TMP/.life" 2>/dev/null || return 1
    from=$(tr -d '\r' <"$KIT_TMP/.life" | grep -a '^writer goes on after [0-9]*$' | tail -n 1)
    from=${from##* }
    diag "$1: at least $3 was to be there, it went on after $from"
    [ "$from" -ge "$3" ] && [ "$from" -le $((${4:-$3} + 1)) ] &&
        wait_for $patience acked_more_in "$2" $((from + 5))
}

# lives_on: counts_on, once there is such a life.
lives_on() {
    wait_for $patience has_life "$2" "${5:-0}" && counts_on "$@"
}

has_life() {
    [ -f "$1" ] && tail -c +$(($2 + 1)) "$1" | tr -d '\r' | grep -aq '^writer goes on after [0-9]*$'
}

# holds_records AT-LEAST IMAGE: all records, in a chain of images as stock QEMU reads it.
holds_records() {
    qemu-img convert -U -O raw "$2" "$KIT_TMP/.holds" && record-check --at-least "$1" "$KIT_TMP/.holds"
}

power_at() {
    [ "$("$1" virsh -q domstate "$2" 2>/dev/null | head -n 1)" = "$3" ]
}

here() {
    "$@"
}

# --- never two ------------------------------------------------------------------------------------

# What both hosts say about their machines as it happens.
start_witness() {
    start_background virsh -c "$LIBVIRT_DEFAULT_URI" event --all --loop --timestamp
    witness_here=$KIT_LOG
    start_background virsh -c "$there_uri" event --all --loop --timestamp
    witness_there=$KIT_LOG
}

# never_two NAME: up to now the machine ran on one host at most, at any instant.
never_two() {
    ok "$1" python3 "$KIT_TOP/tests/failover/never-two.py" "$machine" "$witness_here" "$witness_there"
}

# --- what there is on a host ------------------------------------------------------------------------

# host_looks FILE: everything that a test or a move could leave: machines, networks, bridges, files, NVRAM,
# and pins and locks in the store. A running machine has folders with the number of its life.
host_looks() {
    local at
    {
        for at in here there; do
            echo "machines $at: $($at virsh -q list --all --name | sort | xargs)"
            echo "networks $at: $($at virsh -q net-list --all --name | sort | xargs)"
            echo "pools $at: $($at virsh -q pool-list --all --name | sort | xargs)"
        done
        echo "bridges: $(ip -o link | awk -F': ' '{ print $2 }' | grep -v '^vnet' | sort | xargs)"
        echo "marks: $(virsh dumpxml --inactive "$machine" | grep -c 'urn:landfall' || true)"
        find "$store" ! -path '*/recovery-points/*' ! -path '*/disks/*' | sort
        find /var/lib/libvirt /etc/libvirt "$KIT_TMP/libvirt-there" ! -path '*/checkpoint/*' |
            sed 's/domain-[0-9]*-/domain-/' | sort
    } >"$1"
}

# as_before NAME: as in $KIT_TMP/looked.
as_before() {
    host_looks "$KIT_TMP/looks"
    ok "$1" diff "$KIT_TMP/looked" "$KIT_TMP/looks"
}
