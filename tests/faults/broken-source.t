#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sources that break for good while they are read: errors of the disk, a server that dies or hangs
# up, one that shrinks. The cycle ends with an error that says where, the recovery points stay, and
# the next cycle with a good source succeeds.

. "$(dirname "$0")/../replicator/cycles.sh"
requires qemu-nbd

disk=$KIT_TMP/vda.raw
MIB=$((1 << 20))
truncate -s $((16 * MIB)) "$disk"
random_bytes "$disk" 0 $((12 * MIB))
serve() {
    rm -f "$KIT_TMP/$1.sock"
    start_nbdkit "$KIT_TMP/$1.sock" "${@:2}"
    server=$KIT_PID
    vda=(--disk "vda=$KIT_URI" --reconnect-seconds 1)
}

serve good file "$disk"
good=("${vda[@]}")
keep_copy 1 vda "$disk"
commits "a good source" "${good[@]}"
random_bytes "$disk" $((4 * MIB)) $((6 * MIB))
number=1

# broken NAME MESSAGE: the last cycle failed so, nothing of it is left, and a good source heals it.
broken() {
    refused "$1" 1 source "$2"
    is "$1: no recovery point" "$(recovery_points)" "$(seq -s ' ' 1 $number)"
    is "$1: nothing is left of it" "$(leftovers)" ""
}

serve eio --filter=error file "$disk" error=EIO error-pread-rate=90%
cycle "${vda[@]}"
ok "the server outlives the failure" kill -0 "$server"
broken "reads fail" "^disk vda: cannot read [0-9]+ bytes at byte [0-9]+ of nbd.*eio.sock, tried 6 times: Input/output error"

serve one --filter=error file "$disk" error=EIO error-pread-rate=100% error-pread-file="$KIT_TMP/trigger"
touch "$KIT_TMP/trigger"
cycle "${vda[@]}"
broken "all reads fail" "Input/output error"
rm "$KIT_TMP/trigger"

serve status --filter=error file "$disk" error=EIO error-extents-rate=100%
cycle "${vda[@]}"
broken "block status fails" "^disk vda: cannot list the block status of"

# The server dies in the middle, and with it every connection.
for signal in KILL TERM; do
    serve dies --filter=rate file "$disk" rate=16M
    landfall-replicate --store "$STORE" --machine "$MACHINE" "${vda[@]}" >"$EVENTS" \
        2>"$EVENTS.stderr" &
    child=$!
    under_way() {
        [ "$(event progress .read_bytes)" -ge 1048576 ]
    }
    ok "SIG$signal: the cycle is under way" wait_for 20 under_way
    kill -s $signal "$server"
    status=0
    wait $child || status=$?
    broken "server gets SIG$signal" "^disk vda: lost the connection to nbd.*, and no new one for 1 s: "
    unlike "server gets SIG$signal: named once" "$(event error .message)" "disk vda.*disk vda"
done

serve control --filter=error file "$disk" error=EIO error-pread-rate=0%
commits "a filter that does nothing" "${vda[@]}"
number=2
keep_copy 2 vda "$disk"

# The export is smaller on later connections than on the first: as if it shrank in the middle.
random_bytes "$disk" $((2 * MIB)) $((8 * MIB))
cat >"$KIT_TMP/shrinks.sh" <<'END'
#!/bin/bash
case $1 in
get_size) [ -e "$tmpdir/asked" ] && echo 4M || echo 16M; touch "$tmpdir/asked" ;;
pread) dd iflag=skip_bytes,count_bytes skip="$4" count="$3" if="$disk" status=none ;;
can_multi_conn | can_extents) exit 0 ;;
extents) echo "$4 $3" ;;
thread_model) echo parallel ;;
*) exit 2 ;;
esac
END
export disk
chmod +x "$KIT_TMP/shrinks.sh"
serve shrinks sh "$KIT_TMP/shrinks.sh"
cycle "${vda[@]}"
broken "shrinks between two connections" "^disk vda: nbd.* had 16777216 bytes, and on another connection has 4194304$"

# The file is cut under the server: reads behind its end fail or give what the server makes of it;
# what was committed stays.
truncate -s 16M "$KIT_TMP/cut.raw"
random_bytes "$KIT_TMP/cut.raw" 0 $((16 * MIB))
serve cut --filter=rate file "$KIT_TMP/cut.raw" rate=32M
begin_cycle "${vda[@]}"
ok "cut: the cycle is under way" wait_for 20 under_way
truncate -s 4M "$KIT_TMP/cut.raw"
end_cycle
broken "cut under the server" "^disk vda: cannot read"

# One of two disks: both commit, or none.
serve eio2 --filter=error file "$disk" error=EIO error-pread-rate=100%
cycle "${good[@]}" --disk "vdb=${vda[1]#vda=}"
refused "one of two disks" 1 source "^disk vdb: cannot read"
is "one of two disks: no recovery point" "$(recovery_points)" "1 2"

number=3
keep_copy 3 vda "$disk"
commits "a good source heals it" "${good[@]}"
is "sends what changed, no more" "$(figure vda sent_bytes)" $((8 * MIB))
ok "every recovery point is its copy" all_points_are_copies 1 2 3
is "nothing is left over" "$(leftovers)" ""
done_testing
