#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What carries the API: the unix socket and who is whom on it, TLS and its certificate, and clients that
# are slow, many, or send what is no HTTP.
. "$(dirname "$0")/../kit/kit.sh"
. "$KIT_TOP/tests/api/api.sh"
requires jq curl python3 openssl setpriv nc

api_start
api_people

# --- the unix socket ----------------------------------------------------------------------------

is "the socket is for owner and group" "$(stat -c '%a %F' "$API_SOCKET")" '660 socket'
like "in a folder that is, too" "$(stat -c %a "$KIT_TMP/api-run")" '^7[05]0$'
# Somebody else, whom an administrator has let in.
chmod 755 "$KIT_TMP/api-run" && chmod 666 "$API_SOCKET"
as_nobody() {
    setpriv --reuid 65534 --regid 65534 --clear-groups curl -s -o "$1" -w '%{http_code}' \
        --unix-socket "$API_SOCKET" "${@:2}"
}
touch "$KIT_TMP/theirs" && chmod 666 "$KIT_TMP/theirs"
is "H2: another user on the socket is nobody" "$(as_nobody "$KIT_TMP/theirs" http://s/api/v1/hosts)" 401
is "but may see that it lives" "$(as_nobody "$KIT_TMP/theirs" http://s/healthz)" 200
is "and use a token" "$(as_nobody "$KIT_TMP/theirs" -H "Authorization: Bearer $API_VIEWER" http://s/api/v1/hosts)" 200
fails "two daemons do not share a socket" landfalld --state-dir "$KIT_TMP/second" --runtime-dir "$KIT_TMP/api-run" --listen 0
answers "and the first goes on" 200 root GET /api/v1/hosts

# --- TLS ----------------------------------------------------------------------------------------

certificate=$KIT_TMP/api/https-certificate.pem
tls() { openssl s_client -connect "$API_HTTPS" "$@" </dev/null 2>&1 || true; }
like "H10: TLS 1.3" "$(tls -tls1_3)" 'New, TLSv1.3'
like "H10: TLS 1.2, with forward secrecy" "$(tls -tls1_2)" 'New, TLSv1.2, Cipher is ECDHE'
# The client is ready for it, and so the refusal is the server's.
for version in -tls1_1 -tls1; do
    like "H10: no TLS ${version#-tls}" "$(tls "$version" -cipher 'ALL:@SECLEVEL=0')" 'Cipher is \(NONE\)'
    like "the server says so" "$(tls "$version" -cipher 'ALL:@SECLEVEL=0')" 'alert protocol version|unexpected eof|Connection reset'
done
run curl -s "https://$API_HTTPS/healthz"
is "nobody vouches for the certificate" "$status" 60
is "it is its own authority" "$(curl -s --cacert "$certificate" "https://localhost:${API_HTTPS##*:}/healthz")" '{"status":"ok"}'
is "its names fit the address" "$(curl -s --cacert "$certificate" "https://$API_HTTPS/healthz")" '{"status":"ok"}'
pin=$(sed -n 's/^landfalld: public key //p' "$LANDFALLD_LOG")
is "what is printed is the key's pin" "$(curl -sk --pinnedpubkey "$pin" "https://$API_HTTPS/healthz")" '{"status":"ok"}'
run curl -sk --pinnedpubkey "${pin/\/\/?/\/\/A}" "https://$API_HTTPS/healthz"
is "and another is not" "$status" 90
fingerprint=$(openssl x509 -in "$certificate" -noout -fingerprint -sha256)
is "and its fingerprint" "$(sed -n 's/^landfalld: certificate sha256 //p' "$LANDFALLD_LOG")" "${fingerprint#*=}"
is "H8: the key is the daemon's alone" "$(stat -c %a "$KIT_TMP/api/https-key.pem")" 600
answers "an answer by TLS" 200 nobody GET /healthz
for header in 'Strict-Transport-Security: max-age=31536000' 'X-Content-Type-Options: nosniff' \
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'" 'Cache-Control: no-store' \
    'Referrer-Policy: no-referrer' 'X-Frame-Options: DENY'; do
    like "H10: ${header%%:*}" "$headers" "$header"
done
ask nobody GET /api/v1/hosts
like "H10: also on refusals" "$headers" 'X-Content-Type-Options: nosniff'
answers "a HEAD" 200 nobody HEAD /healthz '' -I

# --- clients that take their time, in the background of what follows ------------------------------

port=${API_HTTPS##*:}
: >"$KIT_TMP/slow"
# A byte a second for ever: libmicrohttpd's own timeout would never end it.
dribble() {
    local start=$SECONDS
    { printf 'GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: '; while sleep 1; do printf x || break; done; } |
        timeout 60 "$@" >"$KIT_TMP/dribble.$1" 2>&1 || true
    echo "$1 $((SECONDS - start))" >>"$KIT_TMP/slow"
}
dribble nc -U "$API_SOCKET" &
slow=$!
dribble openssl s_client -quiet -connect "$API_HTTPS" &
slow+=" $!"
# Says nothing at all, not even hello.
{ start=$SECONDS; timeout 60 nc -d 127.0.0.1 "$port" || true; echo "silent $((SECONDS - start))" >>"$KIT_TMP/slow"; } &
slow+=" $!"

# --- many, and nonsense -------------------------------------------------------------------------

like "a head that is too large" "$(curl -sk -o "$KIT_TMP/theirs" -w '%{http_code}' -H "X-Large: $(printf 'x%.0s' {1..40000})" "https://$API_HTTPS/healthz")" '^(431|413|400)$'
like "a path that is too long" "$(curl -sk -o "$KIT_TMP/theirs" -w '%{http_code}' "https://$API_HTTPS/$(printf 'x%.0s' {1..40000})")" '^(414|431|400)$'
for nonsense in 'GET' 'GET / HTTP/9.9\r\n\r\n' '\0\0\0\0' 'POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n' \
    'POST /api/v1/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n' \
    'GET /healthz HTTP/1.1\r\n\r\n' 'POST /api/v1/setup HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n'; do
    printf "$nonsense" | timeout 5 nc -N -U "$API_SOCKET" >"$KIT_TMP/theirs" 2>&1 || true
done
answers "nonsense does not end it" 200 root GET /healthz

# One address opens more connections than it may.
/usr/bin/python3 - "$port" >"$KIT_TMP/many" <<'END' &
import select, socket, sys, time
sockets = []
for i in range(300):
    try:
        sockets.append(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5))
    except OSError:
        break
time.sleep(1)
gone = select.select(sockets, [], [], 0)[0]
print(len(sockets) - len(gone), flush=True)
time.sleep(2)
END
many=$!
is_counted() { [ -s "$KIT_TMP/many" ]; }
wait_for 10 is_counted
answers "H10: the socket answers whatever goes on in the network" 200 root GET /api/v1/hosts
open=$(<"$KIT_TMP/many")
ok "H10: one address has 64 connections at most, $open" test "$open" -le 64
wait $many
ask_again() { ask nobody GET /healthz; [ "$code" = 200 ]; }
ok "and then it is served again" wait_for 5 ask_again
pids=()
for number in {1..100}; do
    curl -s -o "$KIT_TMP/theirs" -w '%{http_code}\n' --unix-socket "$API_SOCKET" http://s/api/v1/hosts &
    pids+=($!)
done >"$KIT_TMP/codes"
wait "${pids[@]}"
is "a hundred at once on the socket are answered" "$(sort "$KIT_TMP/codes" | uniq -c | tr -s ' ')" ' 100 200'

# --- the certificate may be replaced ------------------------------------------------------------

# shellcheck disable=SC2086
wait $slow
while read -r who seconds; do
    ok "H10: a client that is slow ($who) is let go, after $seconds s" test "$seconds" -ge 15 -a "$seconds" -le 30
done <"$KIT_TMP/slow"
is "there were three" "$(wc -l <"$KIT_TMP/slow")" 3
stop_process "$LANDFALLD_PID"
fails "the socket goes with the daemon" test -e "$API_SOCKET"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ours -addext 'subjectAltName=DNS:ours.example' \
    -keyout "$KIT_TMP/api/https-key.pem" -out "$certificate" 2>"$KIT_TMP/theirs"
chmod 600 "$KIT_TMP/api/https-key.pem"
api_start
is "another pair is taken" "$(curl -s --cacert "$certificate" --resolve "ours.example:${API_HTTPS##*:}:127.0.0.1" "https://ours.example:${API_HTTPS##*:}/healthz")" '{"status":"ok"}'
stop_process "$LANDFALLD_PID"
refuses() {
    run timeout 20 landfalld --state-dir "$KIT_TMP/api" --runtime-dir "$KIT_TMP/api-run" --listen 127.0.0.1:0
    is "$1: refused" "$status" 2
    like "$1: said" "$output" "$2"
}
chmod 644 "$KIT_TMP/api/https-key.pem"
refuses "H8: a key that others may read" 'may be read by others.*hint: chmod 600'
chmod 600 "$KIT_TMP/api/https-key.pem"
openssl ecparam -name prime256v1 -genkey -noout -out "$KIT_TMP/api/https-key.pem"
refuses "a key of another certificate" 'is not of the key beside it.*hint:'
rm "$KIT_TMP/api/https-key.pem"
refuses "half a pair" 'https-key.pem.*hint: put both files there'
rm "$certificate"
run timeout 20 landfalld --state-dir "$KIT_TMP/api" --runtime-dir "$KIT_TMP/api-run" --listen nonsense
like "an address that is none" "$output" "'nonsense' is not an address and a port.*hint: such as"
api_start
is "without both, new ones are made" "$(curl -s --cacert "$certificate" "https://$API_HTTPS/healthz")" '{"status":"ok"}'
ok "H1: every answer is as openapi.json says" api_answers_fit
done_testing
