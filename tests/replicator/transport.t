#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The ways to a source: TCP, TLS with pre-shared keys and with certificates, commands that speak
# NBD; export names; several disks in one cycle; servers that know less of the protocol.

. "$(dirname "$0")/cycles.sh"
requires certtool psktool nc qemu-nbd

disk=$KIT_TMP/vda.raw
truncate -s 8M "$disk"
random_bytes "$disk" 0 $((2 << 20))
random_bytes "$disk" $((5 << 20)) 65536
number=0

# same NAME ARGUMENT…: changes one block, and a cycle over this transport sends it.
same() {
    local name=$1
    shift
    number=$((number + 1))
    random_bytes "$disk" $((number * 65536)) 65536
    keep_copy $number vda "$disk"
    commits "$name" "$@"
    ok "$name: the copy" point_is $number vda "$COPIES/$number/vda"
}

# --- TCP, names of exports ----------------------------------------------------------------------

port=$((20000 + RANDOM % 10000))
start_nbdkit $port file dir="$KIT_TMP"
same "TCP, an export's name" --disk "vda=nbd://127.0.0.1:$port/vda.raw"
cycle --disk "vda=nbd://127.0.0.1:$port/vdb.raw"
refused "an export that is not there" 1 source "^disk vda: cannot connect to nbd://127.0.0.1:$port/vdb.raw: "
stop_process "$KIT_PID"
cycle --disk "vda=nbd://127.0.0.1:$port/vda.raw"
refused "nobody listens" 1 source "^disk vda: cannot connect to nbd://127.0.0.1:$port/vda.raw: .*refused"

# --- TLS ----------------------------------------------------------------------------------------

pki=$KIT_TMP/pki
mkdir "$pki" "$pki/other"
make_certificate() { # FOLDER NAME TEMPLATE-LINE…
    local folder=$1 name=$2
    shift 2
    printf '%s\n' "$@" >"$folder/template"
    certtool --generate-privkey --ecc --outfile "$folder/$name-key.pem" 2>>"$pki/log"
    if [ "$name" = ca ]; then
        certtool --generate-self-signed --template "$folder/template" \
            --load-privkey "$folder/ca-key.pem" --outfile "$folder/ca-cert.pem" 2>>"$pki/log"
    else
        certtool --generate-certificate --template "$folder/template" \
            --load-ca-certificate "$folder/ca-cert.pem" --load-ca-privkey "$folder/ca-key.pem" \
            --load-privkey "$folder/$name-key.pem" --outfile "$folder/$name-cert.pem" 2>>"$pki/log"
    fi
}
for folder in "$pki" "$pki/other"; do
    make_certificate "$folder" ca 'cn = tests' ca cert_signing_key 'expiration_days = 2'
    make_certificate "$folder" client 'cn = client' tls_www_client signing_key 'expiration_days = 2'
done
make_certificate "$pki" server 'cn = localhost' 'dns_name = localhost' 'ip_address = 127.0.0.1' \
    tls_www_server signing_key 'expiration_days = 2'

start_nbdkit $port --tls=require --tls-certificates="$pki" --tls-verify-peer file "$disk"
same "TLS with certificates" --disk "vda=nbds://localhost:$port/?tls-certificates=$pki"
is "TLS with certificates: only the delta" "$(figure vda sent_bytes)" 65536
cycle --disk "vda=nbds://localhost:$port/?tls-certificates=$pki/other"
refused "a server that another authority vouches for" 1 source "^disk vda: cannot connect to nbds://localhost:$port/"
cycle --disk "vda=nbd://localhost:$port/"
refused "no TLS where TLS is due" 1 source "^disk vda: cannot connect to nbd://localhost:$port/"
stop_process "$KIT_PID"

psktool -u alice -p "$KIT_TMP/keys.psk" >"$KIT_TMP/psktool" 2>&1
psktool -u alice -p "$KIT_TMP/wrong.psk" >"$KIT_TMP/psktool" 2>&1
start_nbdkit "$KIT_TMP/psk.sock" --tls=require --tls-psk="$KIT_TMP/keys.psk" file "$disk"
psk="nbds+unix://alice@/?socket=$KIT_TMP/psk.sock&tls-psk-file="
same "TLS with a pre-shared key" --disk "vda=$psk$KIT_TMP/keys.psk"
cycle --disk "vda=$psk$KIT_TMP/wrong.psk"
refused "a wrong key" 1 source "^disk vda: cannot connect to nbds"
stop_process "$KIT_PID"

# --- commands -----------------------------------------------------------------------------------

same "a server as a command" --disk vda=nbd:/// --command "vda=nbdkit -s --exit-with-parent file '$disk'"
same "an export's name with a command" --disk vda=nbd:///vda.raw \
    --command "vda=nbdkit -s --exit-with-parent file dir='$KIT_TMP'"
start_nbdkit "$KIT_TMP/vda.sock" file "$disk"
same "through a pipe to a socket" --disk vda=nbd:/// --command "vda=nc -U '$KIT_TMP/vda.sock'"
stop_process "$KIT_PID"
cycle --disk vda=nbd:/// --command 'vda=false'
refused "a command that fails" 1 source "^disk vda: cannot connect to"
cycle --disk vda=nbd:/// --command 'vda=/no/such/command'
is "a command that is not there: status" "$status" 1
is "a command that is not there: code" "$(event error .code)" source
like "a command's own words reach standard error" "$(cat "$EVENTS.stderr")" "/no/such/command"

# --- several disks ------------------------------------------------------------------------------

MACHINE=m2
truncate -s 3M "$KIT_TMP/vdb.raw"
random_bytes "$KIT_TMP/vdb.raw" $((1 << 20)) $((1 << 20))
start_nbdkit "$KIT_TMP/vda2.sock" file "$disk"
two=(--disk "vda=$KIT_URI")
start_qemu_nbd "$KIT_TMP/vdb.sock" -r -f raw "$KIT_TMP/vdb.raw"
two+=(--disk "vdb=$KIT_URI")
rm -r "$COPIES"
keep_copy 1 vda "$disk"
keep_copy 1 vdb "$KIT_TMP/vdb.raw"
commits "two disks" "${two[@]}"
random_bytes "$disk" 0 65536
keep_copy 2 vda "$disk"
keep_copy 2 vdb "$KIT_TMP/vdb.raw"
commits "one of two changed" "${two[@]}"
is "the other keeps its layer" "$(figure vdb layer)" base.raw
keep_copy 3 vda "$disk"
commits "one disk is left out" "${two[@]:0:2}"
keep_copy 4 vda "$disk"
keep_copy 4 vdb "$KIT_TMP/vdb.raw"
commits "and is back" "${two[@]}"
is "back: nothing is sent again" "$(figure vdb sent_bytes)" 0
ok "every recovery point is its copies" all_points_are_copies 1 2 3 4
for n in 5 6 7; do
    random_bytes "$disk" $((n * 131072)) 65536
    keep_copy $n vda "$disk"
    commits "the other is gone, retain 2: $n" "${two[@]:0:2}" --retain 2
done
ok "every recovery point kept is its copy" all_points_are_copies 6 7
commits "without a change" "${two[@]:0:2}"
is "a replica that no recovery point has is gone" "$(ls "$STORE/$MACHINE/disks")" vda

# --- lesser servers -----------------------------------------------------------------------------

MACHINE=m3
number=0
lesser=$KIT_TMP/lesser.sock
serve_lesser() {
    rm -f "$lesser"
    start_nbdkit "$lesser" "$@"
    serving=$KIT_PID
}
serve_lesser --no-sr file "$disk"
same "no structured replies" --disk "vda=$KIT_URI"
is "no structured replies: all is read" "$(figure vda read_bytes)" $((8 << 20))
stop_process "$serving"
serve_lesser --filter=noextents --filter=noparallel --filter=multi-conn file "$disk" \
    multi-conn-mode=disable
same "no extents, one connection" --disk "vda=$KIT_URI"
stop_process "$serving"
serve_lesser --filter=blocksize-policy file "$disk" blocksize-minimum=4096 \
    blocksize-preferred=4096 blocksize-maximum=65536 blocksize-error-policy=error
same "small reads only" --disk "vda=$KIT_URI"
stop_process "$serving"
serve_lesser --filter=blocksize-policy file "$disk" blocksize-minimum=512 \
    blocksize-preferred=4096 blocksize-maximum=32768 blocksize-error-policy=error
cycle --disk "vda=$KIT_URI"
refused "reads smaller than a block" 1 unsupported "does not serve reads of 65536 bytes"
stop_process "$serving"

# Extents that end anywhere: a block that is a hole only in part is read.
zero_bytes "$disk" $((1953 * 512)) $((4 << 20))
printf '0 1000100 data\n1000100 4000000 hole,zero\n5000100 3388508 data\n' >"$KIT_TMP/extents"
serve_lesser --filter=extentlist file "$disk" extentlist="$KIT_TMP/extents"
same "extents that are no multiples of a sector" --disk "vda=$KIT_URI"
ok "extents that are no multiples of a sector: read" \
    [ "$(figure vda read_bytes)" -lt $((8388608 - 3800000)) ]
done_testing
