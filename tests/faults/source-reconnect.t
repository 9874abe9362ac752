#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sources that go away in the middle of a cycle and come back: connections cut, a server killed and
# started again, a server that is slow, stopped, or answers some reads with errors. The cycle goes
# on where it was, says so, and what it commits is the disk. Where the source stays away, or is not
# what it was, the cycle ends in time with an error that says which, and nothing is damaged.

. "$(dirname "$0")/../replicator/cycles.sh"
requires qemu-nbd strace nc psktool

MIB=$((1 << 20))
REQUEST=$((256 << 10)) # the largest read
disk=$KIT_TMP/vda.raw
size=$((12 * MIB))
truncate -s $size "$disk"
random_bytes "$disk" 0 $size

# serve NAME ARGUMENT…: with nbdkit; $server, $vda. Again on the same socket after a kill.
serve() {
    rm -f "$KIT_TMP/$1.sock"
    start_nbdkit "$KIT_TMP/$1.sock" "${@:2}"
    server=$KIT_PID
    vda=(--disk "vda=$KIT_URI")
}

# kill_server: and forget it, so that the shell has no word about it.
kill_server() {
    disown "$server"
    kill -KILL "$server"
    wait_for 10 process_is_gone "$server"
}

has_read() {
    local last
    last=$(tail -n 1 "$EVENTS")
    [[ $last =~ \"read_bytes\":([0-9]+) && ${BASH_REMATCH[1]} -ge $1 ]] || process_is_gone $child
}

# warnings CODE: how many, and warning_text what the last one said.
warnings() {
    jq -rs "map(select(.event == \"warning\" and .code == \"$1\")) | length" "$EVENTS"
}

warning_text() {
    jq -rs "map(select(.event == \"warning\" and .code == \"$1\")) | last | .message // \"\"" "$EVENTS"
}

# went_on NAME: the last cycle committed the disk as it is, read nothing twice, and left nothing.
went_on() {
    is "$1: status" "$status" 0
    [ "$status" -eq 0 ] || diag "$(tail -n 1 "$EVENTS")"
    is "$1: standard error" "$(cat "$EVENTS.stderr")" ""
    is "$1: read once" "$(figure vda read_bytes)" $size
    ok "$1: is the disk" point_is "$(event result .recovery_point.number)" vda "$disk"
    ok "$1: is proven" landfall store verify "$STORE" "$MACHINE"
    is "$1: nothing is left over" "$(leftovers)" ""
}

# gave_up NAME MESSAGE: it failed so, and the recovery points are those of before.
gave_up() {
    refused "$1" 1 source "$2"
    is "$1: no recovery point" "$(recovery_points)" "$points"
    is "$1: nothing is left over" "$(leftovers)" ""
}

# --- connections cut ----------------------------------------------------------------------------

# So often that a read at the end of the queue is lost many times before its turn has come.
start_qemu_nbd "$KIT_TMP/good.sock" -r -f raw "$disk"
good=(--disk "vda=$KIT_URI")
status=0
strace -f -qq -o "$KIT_TMP/trace" -e trace=recvfrom \
    -e inject=recvfrom:error=ECONNRESET:when=20+16 landfall-replicate --store "$STORE" \
    --machine "$MACHINE" "${good[@]}" >"$EVENTS" 2>"$EVENTS.stderr" || status=$?
cuts=$(grep -c INJECTED "$KIT_TMP/trace")
diag "$cuts cuts"
ok "connections are cut" [ "$cuts" -ge 12 ]
went_on "connections cut"
# A cut in the middle of a handshake is part of the reconnection it meets, and one after the last
# read loses nothing: those are not said by themselves.
said=$(warnings source-reconnected)
ok "R14: connections cut: each is said ($said of $cuts)" [ $((cuts - said)) -ge 0 -a $((cuts - said)) -le 3 ]
like "connections cut: what is said" "$(warning_text source-reconnected)" \
    "^lost the connection to nbd.*good.sock.*made a new one after [0-9.]+ s"
points=1

# --- a server that dies and comes back ----------------------------------------------------------

slow=(--filter=log --filter=rate file "$disk" rate=64M burstiness=0.1)
for round in 1 2 3; do
    random_bytes "$disk" $((round * MIB)) $((3 * MIB))
done
serve dies "${slow[@]}" logfile="$KIT_TMP/log.0"
begin_cycle "${vda[@]}"
for round in 1 2 3; do
    wait_for 20 has_read $((round * 2 * MIB))
    kill_server
    sleep 0.$((round * 3))
    serve dies "${slow[@]}" logfile="$KIT_TMP/log.$round"
done
end_cycle
went_on "a server killed three times"
points="1 2"
ok "a server killed three times: is said" [ "$(warnings source-reconnected)" -ge 3 ]
asked=$(cat "$KIT_TMP"/log.? | perl -ne '$n += hex $1 if / Read .*count=0x([0-9a-f]+)/; END { print $n }')
lanes=$(($(nproc) < 4 ? $(nproc) : 4))
diag "asked for $((asked - size)) bytes twice"
ok "R14: a server killed three times: asked again for what was in flight, no more" \
    [ $((asked - size)) -le $((3 * lanes * 16 * REQUEST)) ]

# --- a server that stays away -------------------------------------------------------------------

random_bytes "$disk" 0 $MIB
serve gone "${slow[@]}" logfile="$KIT_TMP/log.gone"
patience=2
[ -z "${LANDFALL_LONG:-}" ] || patience=20
begin_cycle "${vda[@]}" --reconnect-seconds $patience
wait_for 20 has_read $((2 * MIB))
kill_server
end_cycle
gave_up "gone for good" "^disk vda: lost the connection to nbd.*gone.sock, and no new one for $patience s: "
ok "gone for good: in time ($took_ms ms)" \
    [ $took_ms -ge $((patience * 1000 - 500)) -a $took_ms -le $((patience * 1000 + 4000)) ]
serve gone "${slow[@]}" logfile="$KIT_TMP/log.gone"
begin_cycle "${vda[@]}"
wait_for 20 has_read $((2 * MIB))
kill_server
sleep 0.5
kill -TERM $child
end_cycle
refused "ended while it connects again" 1 cancelled "cancelled"
ok "ended while it connects again: at once ($took_ms ms)" [ $took_ms -le 8000 ]

# --- a server that comes back as another --------------------------------------------------------

cp "$disk" "$KIT_TMP/smaller.raw"
truncate -s $((size - MIB)) "$KIT_TMP/smaller.raw"
serve other "${slow[@]}" logfile="$KIT_TMP/log.other"
begin_cycle "${vda[@]}"
wait_for 20 has_read $((2 * MIB))
kill_server
serve other file "$KIT_TMP/smaller.raw"
end_cycle
gave_up "another size" "^disk vda: nbd.*other.sock had $size bytes, and on another connection has $((size - MIB))$"

# --- a server that is stopped for a while -------------------------------------------------------

serve stops "${slow[@]}" logfile="$KIT_TMP/log.stops"
begin_cycle "${vda[@]}"
wait_for 20 has_read $((2 * MIB))
kill -STOP "$server"
sleep 2
kill -CONT "$server"
end_cycle
went_on "stopped for a while"
points="1 2 3"
is "stopped for a while: no new connection" "$(warnings source-reconnected)" 0
serve stops "${slow[@]}" logfile="$KIT_TMP/log.stops"
begin_cycle "${vda[@]}"
wait_for 20 has_read $((2 * MIB))
kill -STOP "$server"
sleep 0.5
kill -TERM $child
end_cycle
refused "ended while the server is stopped" 1 cancelled "cancelled"
ok "ended while the server is stopped: soon ($took_ms ms)" [ $took_ms -le 15000 ]
kill_server
if [ -n "${LANDFALL_LONG:-}" ]; then
    serve stops "${slow[@]}" logfile="$KIT_TMP/log.stops"
    begin_cycle "${vda[@]}"
    wait_for 20 has_read $((2 * MIB))
    kill -STOP "$server"
    end_cycle
    kill_server
    gave_up "stopped for good" "^disk vda: lost the connection .*, and no new one for 20 s: "
    ok "stopped for good: in time ($took_ms ms)" [ $took_ms -le 90000 ]
fi

# --- reads answered with errors -----------------------------------------------------------------

for rate in 1% 20%; do
    serve errors --filter=error file "$disk" error=EIO error-pread-rate=$rate
    cycle "${vda[@]}"
    went_on "$rate of reads fail"
    points+=" $(event result .recovery_point.number)"
done
like "20% of reads fail: is said" "$(warning_text reads-repeated)" \
    "^[0-9]+ times reads failed .*errors.sock answered a read at byte [0-9]+ with: Input/output error$"
is "20% of reads fail: on the same connection" "$(warnings source-reconnected)" 0

# One sector that cannot be read, in the middle of a request, is found where it is.
bad=$((5 * MIB + 12345 / 512 * 512))
export disk bad
cat >"$KIT_TMP/bad-sector.sh" <<'END'
#!/bin/bash
case $1 in
get_size) stat -c %s "$disk" ;;
pread)
    if [ "$4" -le "$bad" ] && [ $(($4 + $3)) -gt "$bad" ]; then echo "EIO bad sector" >&2; exit 1; fi
    dd iflag=skip_bytes,count_bytes skip="$4" count="$3" if="$disk" status=none
    ;;
can_multi_conn) exit 0 ;;
thread_model) echo parallel ;;
*) exit 2 ;;
esac
END
chmod +x "$KIT_TMP/bad-sector.sh"
points=$(recovery_points)
serve bad-sector sh "$KIT_TMP/bad-sector.sh"
cycle "${vda[@]}"
gave_up "a bad sector" "^disk vda: cannot read [0-9]+ bytes at byte [0-9]+ of nbd.*bad-sector.sock, tried 6 times: Input/output error$"
[[ $(event error .message) =~ read\ ([0-9]+)\ bytes\ at\ byte\ ([0-9]+) ]]
ok "a bad sector: is in the bytes named" \
    [ "${BASH_REMATCH[2]}" -le $bad -a $((BASH_REMATCH[2] + BASH_REMATCH[1])) -gt $bad ]

# --- other ways to a server ---------------------------------------------------------------------

# A pre-shared key: the connection is cut within TLS, and made again with it.
psktool -u alice -p "$KIT_TMP/keys.psk" >"$KIT_TMP/psktool" 2>&1
tls=(--tls=require --tls-psk="$KIT_TMP/keys.psk" "${slow[@]}")
serve tls "${tls[@]}" logfile="$KIT_TMP/log.tls"
begin_cycle --disk "vda=nbds+unix://alice@/?socket=$KIT_TMP/tls.sock&tls-psk-file=$KIT_TMP/keys.psk"
wait_for 20 has_read $((2 * MIB))
kill_server
serve tls "${tls[@]}" logfile="$KIT_TMP/log.tls"
end_cycle
went_on "TLS cut"
points+=" $(event result .recovery_point.number)"
ok "TLS cut: is said" [ "$(warnings source-reconnected)" -ge 1 ]

# A command between us and the server, as ssh is: it dies, and is started again; it hangs, and is
# ended with the cycle.
cat >"$KIT_TMP/tunnel" <<'END'
#!/bin/bash
echo $$ >>"$KIT_TMP/tunnels"
exec nc -U "$1"
END
chmod +x "$KIT_TMP/tunnel"
# Not nbdkit: the one of Debian 12 aborts when a client with reads in flight dies.
tunnel=("${good[@]}" --command "vda=$KIT_TMP/tunnel $KIT_TMP/good.sock" --bandwidth 6)
begin_cycle "${tunnel[@]}"
wait_for 20 has_read $((2 * MIB))
mapfile -t tunnels <"$KIT_TMP/tunnels"
kill -KILL "${tunnels[@]}"
end_cycle
went_on "a command dies"
points+=" $(event result .recovery_point.number)"
ok "a command dies: is started again" [ "$(wc -l <"$KIT_TMP/tunnels")" -gt ${#tunnels[@]} ]
: >"$KIT_TMP/tunnels"
begin_cycle "${tunnel[@]}"
wait_for 20 has_read $((2 * MIB))
mapfile -t tunnels <"$KIT_TMP/tunnels"
kill -STOP "${tunnels[@]}"
sleep 0.5
kill -TERM $child
ok "ended while a command hangs: ends" wait_for 10 process_is_gone $child
kill -CONT "${tunnels[@]}" 2>"$KIT_TMP/kill" || true
end_cycle
refused "ended while a command hangs" 1 cancelled "cancelled"
ok "ended while a command hangs: the command is ended, too" \
    wait_for 5 eval '! kill -0 "${tunnels[@]}" 2>/dev/null'

# --- while the source is listed -----------------------------------------------------------------

serve listing --filter=delay --filter=error file "$disk" delay-extents=500ms error=EIO \
    error-extents-rate=100% error-extents-file="$KIT_TMP/trigger"
touch "$KIT_TMP/trigger"
begin_cycle "${vda[@]}"
ok "listing fails: is said" wait_for 20 grep -q plan-repeated "$EVENTS"
rm "$KIT_TMP/trigger"
end_cycle
went_on "listing fails at first"

points=$(recovery_points)
for number in $points; do
    [ -e "$COPIES/$number/vda" ] || keep_copy "$number" vda "$disk"
done
ok "every recovery point is whole" landfall store verify "$STORE" "$MACHINE" --all
done_testing
