# SPDX-License-Identifier: Apache-2.0
# The cases. A tool of a case is command_TOOL, which sets the array command, and before_TOOL, which
# restores what the tool changes and is not measured. Sourced by run.sh.

replicate() {
    command=(landfall-replicate --store "$work/store" --machine bench --disk "vda=$uri" "$@")
}
fresh_output() {
    rm -rf "$work/out" "$work/store"
    mkdir "$work/store"
}

# --- full copy: a replica from nothing ----------------------------------------------------------
# Landfall's time includes hashing, the block map, the manifest and every fsync.
before_landfall_full() { fresh_output; }
command_landfall_full() { replicate; }
before_nbdcopy() { fresh_output; }
command_nbdcopy() { command=(nbdcopy "$uri" "$work/out"); }
before_nbdcopy_sync() { fresh_output; }
command_nbdcopy_sync() { command=(sh -c 'nbdcopy "$0" "$1" && sync "$1"' "$uri" "$work/out"); }
before_qemu_img_convert() { fresh_output; }
command_qemu_img_convert() {
    command=(qemu-img convert -f raw -O raw -t none -W -m 16 "$uri" "$work/out")
}

case_full_copy() {
    local kind
    for kind in "${kinds[@]}"; do
        local image=base.raw format=raw
        [ "$kind" = qemu-qcow2 ] && image=base.qcow2 format=qcow2
        start_server "$kind" "$work/$image"
        interleave full-copy "$kind" "$(allocated_gib "$work/$image")" \
            landfall_full nbdcopy nbdcopy_sync qemu_img_convert
        before_landfall_full
        run_one 0 landfall_full
        stop_server
        check_replica "$format" "$work/$image"
    done
}

# --- hash scan: no change tracking, 2% of the blocks changed ------------------------------------
before_landfall_scan() { restore_store; }
command_landfall_scan() { replicate; }
command_nbdcopy_null() { command=(nbdcopy "$uri" null:); }
# Compares equal disks, its best case: it stops at the first difference.
command_qemu_img_compare() { command=(qemu-img compare -f raw -F raw "$uri" "$work/changed.raw"); }
# rsync brings its copy up to date, and the next round brings it back: the same work either way.
command_rsync() {
    rsync_to=$([ "${rsync_to:-}" = "$rsync_new" ] && echo "$rsync_old" || echo "$rsync_new")
    command=(rsync --inplace --no-whole-file --ignore-times "$rsync_to" "$work/rsync-copy")
}
start_rsync() {
    rsync_old=$1 rsync_new=$2 rsync_to=
    cp --sparse=always "$rsync_old" "$work/rsync-copy"
}

# first_cycle KIND IMAGE: the store after the first cycle, from the disk before the change.
first_cycle() {
    start_server "$1" "$work/$2"
    fresh_output
    replicate
    "${command[@]}" >"$work/log" 2>&1 || die "the first cycle failed: $(tail -n 3 "$work/log")"
    stop_server
    save_store
}

case_hash_scan() {
    local kind
    for kind in "${kinds[@]}"; do
        local image=changed.raw old=base.raw format=raw
        local tools=(landfall_scan nbdcopy_null qemu_img_compare)
        [ "$kind" = qemu-qcow2 ] && image=changed.qcow2 old=base.qcow2 format=qcow2
        [ "$kind" = nbdkit ] && tools+=(rsync) && start_rsync "$work/base.raw" "$work/changed.raw"
        first_cycle "$kind" "$old"
        start_server "$kind" "$work/$image"
        interleave hash-scan "$kind" "$(allocated_gib "$work/$image")" "${tools[@]}"
        run_one 0 landfall_scan
        stop_server
        check_replica "$format" "$work/$image"
        check_base
        rm -f "$work/rsync-copy"
    done
}

# --- bitmap delta: 64 MiB in scattered 64 KiB blocks, named by a dirty bitmap -------------------
before_landfall_bitmap() { restore_store; }
command_landfall_bitmap() { replicate --bitmap vda=qemu:dirty-bitmap:bm0; }

# dirty_image IMAGE SIZE_MIB COUNT: adds bitmap bm0 and writes COUNT scattered blocks through QEMU.
dirty_image() {
    qemu-img bitmap --add -g 65536 -f qcow2 "$1" bm0
    gendisk scatter "$2" "$3" 11 |
        awk '{printf "write -q -P %d %s 64k\n", 1 + NR % 255, $1}' |
        qemu-io -f qcow2 --cache=writeback "$1" >"$work/log" 2>&1 || die "qemu-io: $(tail -n 3 "$work/log")"
}

case_bitmap() {
    cp "$work/base.qcow2" "$work/dirty.qcow2"
    dirty_image "$work/dirty.qcow2" "$size_mib" "$dirty_blocks"
    first_cycle qemu-qcow2 base.qcow2
    start_rsync "$work/base.qcow2" "$work/dirty.qcow2"
    start_server qemu-qcow2 "$work/dirty.qcow2" -B bm0
    interleave bitmap qemu-qcow2 "$(allocated_gib "$work/dirty.qcow2")" \
        landfall_bitmap nbdcopy rsync
    restore_store
    run_one 0 landfall_bitmap
    stop_server
    check_replica qcow2 "$work/dirty.qcow2"
    check_base
    rm -f "$work/rsync-copy" "$work/dirty.qcow2"
}

# --- size: the same small delta on a small and on a large disk ----------------------------------
# Each tool of this case has its own server and store: the names say the size of the disk.
serve_sized() {
    start_server qemu-qcow2 "$work/sized-$1.qcow2" -B bm0
    rm -rf "$work/saved"
    ln -sfn "$work/saved-$1" "$work/saved"
    restore_store
}
before_landfall_10gib() { serve_sized 10240; }
before_landfall_1tib() { serve_sized 1048576; }
command_landfall_10gib() { command_landfall_bitmap; }
command_landfall_1tib() { command_landfall_bitmap; }

case_size() {
    local mib
    for mib in 10240 1048576; do
        qemu-img create -q -f qcow2 "$work/sized-$mib.qcow2" "${mib}M"
        first_cycle qemu-qcow2 "sized-$mib.qcow2"
        mv "$work/saved" "$work/saved-$mib"
        dirty_image "$work/sized-$mib.qcow2" "$mib" 1024
    done
    interleave size bitmap 0.0625 landfall_1tib landfall_10gib
    stop_server
    rm -rf "$work/saved" "$work"/saved-* "$work"/sized-*
}

# --- TLS: the hash scan over an encrypted connection --------------------------------------------
command_nbdcopy_plain() { command=(nbdcopy "$plain_uri" null:); }

case_tls() {
    first_cycle nbdkit base.raw
    psktool -u bench -p "$work/keys.psk" >/dev/null 2>&1 || die 'psktool failed'
    serve "$work/plain.pid" nbdkit -f -r -U "$work/plain.sock" -P "$work/plain.pid" file "$work/changed.raw"
    plain_pid=$pid
    plain_uri="nbd+unix:///?socket=$work/plain.sock"
    start_server nbdkit "$work/changed.raw" --tls=require "--tls-psk=$work/keys.psk"
    uri="nbds+unix://bench@/?socket=$socket&tls-psk-file=$work/keys.psk"
    interleave tls nbdkit "$(allocated_gib "$work/changed.raw")" \
        landfall_scan nbdcopy_plain nbdcopy_null
    stop_server
    end "$plain_pid"
    plain_pid=
    check_base
}

# --- parallel: ten first cycles at once, and one after the other --------------------------------
ten_machines() {
    command=(bash -c 'for machine in {1..10}; do
        landfall-replicate --store "$0" --machine "bench-$machine" --disk "vda=$1" &
        [ -z "$2" ] || wait $! || exit 1
    done
    for job in $(jobs -p); do wait "$job" || exit 1; done' "$work/store" "$uri" "$1")
}
before_landfall_at_once() { fresh_output; }
command_landfall_at_once() { ten_machines ''; }
before_landfall_one_by_one() { fresh_output; }
command_landfall_one_by_one() { ten_machines one; }

case_parallel() {
    gendisk create "$work/small.raw" $((size_mib / 8)) 5 || die 'gendisk failed'
    start_server nbdkit "$work/small.raw"
    interleave parallel nbdkit "$(allocated_gib "$work/small.raw" | awk '{print $1 * 10}')" \
        landfall_at_once landfall_one_by_one
    stop_server
    rm -f "$work/small.raw"
}
