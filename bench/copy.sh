# SPDX-License-Identifier: Apache-2.0
# The cases that read whole disks: first copies, hash scans, TLS. A tool of a case is command_TOOL,
# which sets the array command, and before_TOOL, which restores what the tool changes and is not
# measured. Sourced by run.sh.

# shellcheck disable=SC2120  # more options come in delta.sh
replicate() {
    command=(landfall-replicate --store "$work/store" --machine bench --disk "vda=$uri" "$@")
}
fresh_output() {
    rm -rf "$work/out" "$work/store"
    mkdir "$work/store"
}

# first_cycle KIND IMAGE [COMMAND…]: the store after the first cycle, from the disk before the
# change. COMMAND runs landfall-replicate in its own way.
first_cycle() {
    start_server "$1" "$2"
    shift 2
    fresh_output
    replicate
    "$@" "${command[@]}" >"$work/log" 2>&1 || die "the first cycle failed: $(tail -n 3 "$work/log")"
    stop_server
    save_store
}

# --- the tools ----------------------------------------------------------------------------------
before_landfall_full() { fresh_output; }
command_landfall_full() { replicate; }
before_landfall_full_unsynced() { fresh_output; }
command_landfall_full_unsynced() {
    replicate
    command=(env LD_PRELOAD="$LANDFALL_BUILD/bench/no-sync.so" "${command[@]}")
}
before_landfall_scan() { restore_store; }
command_landfall_scan() { replicate; }

command_nbdcopy() {
    use_settings nbdcopy
    command=(nbdcopy "${settings[@]}" "$uri" "$work/out")
}
before_nbdcopy() { fresh_output; }
before_nbdcopy_default() { fresh_output; }
command_nbdcopy_default() { command=(nbdcopy "$uri" "$work/out"); }
command_nbdcopy_null() {
    use_settings nbdcopy_null
    command=(nbdcopy "${settings[@]}" "$uri" null:)
}
command_nbdcopy_null_default() { command=(nbdcopy "$uri" null:); }
before_qemu_img_convert() { fresh_output; }
command_qemu_img_convert() {
    use_settings qemu_img_convert
    command=(qemu-img convert -f raw -O raw "${settings[@]}" "$uri" "$work/out")
}

nbdcopy_settings=('' '--connections=2 --threads=2' '--connections=1 --threads=1 --requests=16'
    '--requests=16' '--request-size=524288')
convert_settings=('-t none -W -m 16' '-t none -W -m 8' '-t none -m 16' '-W -m 16')

# Compares equal disks, its best case: it stops at the first difference.
command_qemu_img_compare() { command=(qemu-img compare -f raw -F raw "$uri" "$served_raw"); }

# rsync brings its copy up to date, and the next round brings it back: the same work either way.
command_rsync() {
    rsync_to=$([ "$rsync_to" = "$rsync_new" ] && echo "$rsync_old" || echo "$rsync_new")
    command=(rsync --inplace --no-whole-file --ignore-times "$rsync_to" "$work/rsync-copy")
}
start_rsync() {
    rsync_old=$1 rsync_new=$2 rsync_to=
    cp --sparse=always "$rsync_old" "$work/rsync-copy"
}

# --- first copies and scans of one disk ---------------------------------------------------------

# measure_copy KIND FORMAT IMAGE SOURCE: a replica from nothing. Landfall's time includes hashing,
# the block map, the manifest and every fsync.
measure_copy() {
    start_server "$1" "$3"
    begin_group full-copy "$4" "$(allocated_gib "$3")"
    tune nbdcopy "${nbdcopy_settings[@]}"
    tune qemu_img_convert "${convert_settings[@]}"
    interleave landfall_full nbdcopy landfall_full_unsynced qemu_img_convert nbdcopy_default
    run_one 0 landfall_full
    stop_server
    check_replica "$2" "$3"
    fresh_output
}

# measure_scan KIND FORMAT OLD NEW SOURCE TOOL…: a second cycle without change tracking. The other
# tools come after Landfall and nbdcopy.
measure_scan() {
    local kind=$1 format=$2 old=$3 new=$4 label=$5
    shift 5
    first_cycle "$kind" "$old"
    start_server "$kind" "$new"
    begin_group hash-scan "$label" "$(allocated_gib "$new")"
    tune nbdcopy_null "${nbdcopy_settings[@]}"
    interleave landfall_scan nbdcopy_null nbdcopy_null_default "$@"
    run_one 0 landfall_scan
    stop_server
    check_replica "$format" "$new"
    check_base
    rm -f "$work/rsync-copy"
}

case_full_copy() {
    local kind
    for kind in "${kinds[@]}"; do
        local format=raw
        [ "$kind" = qemu-qcow2 ] && format=qcow2
        measure_copy "$kind" "$format" "$work/base.$format" "$kind"
    done
}

case_hash_scan() {
    local kind
    served_raw=$work/changed.raw
    for kind in "${kinds[@]}"; do
        local format=raw tools=(qemu_img_compare)
        [ "$kind" = qemu-qcow2 ] && format=qcow2
        [ "$kind" = nbdkit ] && tools+=(rsync) && start_rsync "$work/base.raw" "$work/changed.raw"
        measure_scan "$kind" "$format" "$work/base.$format" "$work/changed.$format" "$kind" "${tools[@]}"
    done
}

# --- other contents -----------------------------------------------------------------------------
# all random, all zeros, and a large disk that is nearly all holes
case_contents() {
    local content mib
    for content in random zero sparse; do
        mib=$((size_mib / 4))
        [ $content = sparse ] && mib=1048576
        gendisk $content "$work/old.raw" $mib 3 || die 'gendisk failed'
        measure_copy nbdkit raw "$work/old.raw" "nbdkit, $content"
        cp --sparse=auto "$work/old.raw" "$work/new.raw"
        change_content $content "$work/new.raw" $mib
        served_raw=$work/new.raw
        measure_scan nbdkit raw "$work/old.raw" "$work/new.raw" "nbdkit, $content" qemu_img_compare
        rm -rf "$work"/{old,new}.raw "$work/saved" "$work/store"
    done
}

# 2% of the disk; of the sparse one 64 MiB, it has no 2% of data.
change_content() {
    if [ "$1" = sparse ]; then
        scatter_writes "$3" 1024 | qemu-io -f raw --cache=writeback "$2" >"$work/log" 2>&1
    else
        gendisk mutate "$2" 20 7
    fi || die "cannot change $2"
}

# --- what hashing costs -------------------------------------------------------------------------
# The scan of a disk that did not change, with its hashing and, by bench/no-hash.c, without.
before_landfall_unhashed() { restore_unhashed; }
command_landfall_unhashed() {
    replicate
    command=(env LD_PRELOAD="$LANDFALL_BUILD/bench/no-hash.so" "${command[@]}")
}
before_landfall_hashed() { restore_hashed; }
command_landfall_hashed() { replicate; }
restore_hashed() { restore_from saved-hashed; }
restore_unhashed() { restore_from saved-unhashed; }
restore_from() {
    ln -sfn "$work/$1" "$work/saved"
    restore_store
}

case_hashing() {
    local preload=(env LD_PRELOAD="$LANDFALL_BUILD/bench/no-hash.so")
    rm -rf "$work/saved"
    first_cycle nbdkit "$work/base.raw"
    mv "$work/saved" "$work/saved-hashed"
    first_cycle nbdkit "$work/base.raw" "${preload[@]}"
    mv "$work/saved" "$work/saved-unhashed"
    start_server nbdkit "$work/base.raw"
    begin_group hashing nbdkit "$(allocated_gib "$work/base.raw")"
    interleave landfall_hashed landfall_unhashed
    stop_server
    rm -rf "$work/saved" "$work"/saved-*
}

# --- TLS: the hash scan over an encrypted connection --------------------------------------------
command_nbdcopy_plain() {
    use_settings nbdcopy_plain
    command=(nbdcopy "${settings[@]}" "$plain_uri" null:)
}
command_nbdcopy_tls() {
    use_settings nbdcopy_tls
    command=(nbdcopy "${settings[@]}" "$uri" null:)
}
# With the cipher that Landfall takes.
command_nbdcopy_tls_aes() {
    command_nbdcopy_tls
    command=(env GNUTLS_SYSTEM_PRIORITY_FILE="$work/aes" "${command[@]}")
}

case_tls() {
    first_cycle nbdkit "$work/base.raw"
    printf '[overrides]\ntls-disabled-cipher = CHACHA20-POLY1305\n' >"$work/aes"
    psktool -u bench -p "$work/keys.psk" >/dev/null 2>&1 || die 'psktool failed'
    serve "$work/plain.pid" nbdkit -f -r -U "$work/plain.sock" -P "$work/plain.pid" file "$work/changed.raw"
    plain_pid=$pid
    plain_uri="nbd+unix:///?socket=$work/plain.sock"
    start_server nbdkit "$work/changed.raw" --tls=require "--tls-psk=$work/keys.psk"
    uri="nbds+unix://bench@/?socket=$socket&tls-psk-file=$work/keys.psk"
    begin_group tls nbdkit "$(allocated_gib "$work/changed.raw")"
    tune nbdcopy_plain "${nbdcopy_settings[@]}"
    tune nbdcopy_tls '' '--connections=2 --threads=2'
    interleave landfall_scan nbdcopy_plain nbdcopy_tls nbdcopy_tls_aes
    run_one 0 landfall_scan
    stop_server
    end "$plain_pid"
    plain_pid=
    check_replica raw "$work/changed.raw"
    check_base
}
