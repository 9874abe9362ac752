# SPDX-License-Identifier: Apache-2.0
# The cases of a dirty bitmap, and of several cycles at once. Sourced by run.sh after copy.sh, which
# explains command_TOOL and before_TOOL.

# --- bitmap delta: scattered 64 KiB blocks, named by a dirty bitmap -----------------------------
before_landfall_bitmap() { restore_store; }
command_landfall_bitmap() { replicate --bitmap vda=qemu:dirty-bitmap:bm0; }

# scatter_writes SIZE_MIB COUNT [OPTION]: qemu-io's commands that write COUNT scattered blocks.
scatter_writes() {
    gendisk scatter "$1" "$2" 11 |
        awk -v "option=${3:-}" '{printf "write -q %s %s 64k\n", \
            option ? option : "-P " 1 + NR % 255, $1}'
}

# dirty_image IMAGE SIZE_MIB COUNT [OPTION]: adds bitmap bm0 and writes COUNT blocks through QEMU.
dirty_image() {
    qemu-img bitmap --add -g 65536 -f qcow2 "$1" bm0
    scatter_writes "$2" "$3" "${4:-}" | qemu-io -f qcow2 --cache=writeback "$1" >"$work/log" 2>&1 ||
        die "qemu-io: $(tail -n 3 "$work/log")"
}

case_bitmap() {
    cp "$work/base.qcow2" "$work/dirty.qcow2"
    dirty_image "$work/dirty.qcow2" "$size_mib" "$dirty_blocks"
    first_cycle qemu-qcow2 "$work/base.qcow2"
    start_rsync "$work/base.qcow2" "$work/dirty.qcow2"
    start_server qemu-qcow2 "$work/dirty.qcow2" -B bm0
    begin_group bitmap qemu-qcow2 "$(allocated_gib "$work/dirty.qcow2")"
    tune nbdcopy "${nbdcopy_settings[@]}"
    interleave landfall_bitmap nbdcopy rsync
    run_one 0 landfall_bitmap
    stop_server
    check_replica qcow2 "$work/dirty.qcow2"
    check_base
    rm -f "$work/rsync-copy" "$work/dirty.qcow2"
}

# --- size: the same small delta on a small and on a large disk ----------------------------------
# Each tool of this case has its own server and store: its name says the size of the disk.
serve_sized() {
    start_server qemu-qcow2 "$work/sized-$1.qcow2" -B bm0
    restore_from "saved-$1"
}
before_landfall_1tib() { serve_sized 1048576; }
before_landfall_10gib() { serve_sized 10240; }
command_landfall_1tib() { command_landfall_bitmap; }
command_landfall_10gib() { command_landfall_bitmap; }

# measure_sized DELTA_MIB
measure_sized() {
    local mib
    for mib in 1048576 10240; do
        cp "$work/empty-$mib.qcow2" "$work/sized-$mib.qcow2"
        dirty_image "$work/sized-$mib.qcow2" "$mib" $(($1 * 16))
    done
    begin_group size "$1 MiB changed" "$(awk "BEGIN {print $1 / 1024}")"
    interleave_short landfall_1tib landfall_10gib
    run_one 0 landfall_1tib
    stop_server
    check_replica qcow2 "$work/sized-1048576.qcow2"
}

case_size() {
    local mib delta_mib
    rm -rf "$work/saved"
    for mib in 1048576 10240; do
        qemu-img create -q -f qcow2 "$work/empty-$mib.qcow2" "${mib}M"
        first_cycle qemu-qcow2 "$work/empty-$mib.qcow2"
        mv "$work/saved" "$work/saved-$mib"
    done
    for delta_mib in "${delta_mibs[@]}"; do
        measure_sized "$delta_mib"
    done
    rm -rf "$work/saved" "$work"/saved-* "$work"/{sized,empty}-*
}

# --- listing: 10,000 scattered dirty blocks of a 1 TiB disk, before anything is read ------------
# From the start of the program, with one bitmap of those blocks and with an empty one: the difference
# is the listing, and the rest is starting and connecting.
serve_listed() {
    start_server qemu-qcow2 "$work/listed-$1.qcow2" -B bm0
    restore_store
}
before_landfall_listing() { serve_listed 10000; }
before_landfall_listing_none() { serve_listed 0; }
command_landfall_listing() { command_landfall_bitmap; }
command_landfall_listing_none() { command_landfall_bitmap; }
events_landfall_listing() { :; }
events_landfall_listing_none() { :; }
before_nbdinfo_map() { serve_listed 10000; }
command_nbdinfo_map() { command=(nbdinfo --map=qemu:dirty-bitmap:bm0 "$uri"); }

case_listing() {
    local count
    qemu-img create -q -f qcow2 "$work/listed.qcow2" 1T
    rm -rf "$work/saved"
    first_cycle qemu-qcow2 "$work/listed.qcow2"
    # Blocks of zeros: dirty for the bitmap, and soon written.
    for count in 0 10000; do
        cp "$work/listed.qcow2" "$work/listed-$count.qcow2"
        dirty_image "$work/listed-$count.qcow2" 1048576 "$count" -z
    done
    begin_group listing bitmap 0.6104
    interleave_short landfall_listing landfall_listing_none nbdinfo_map
    stop_server
    rm -rf "$work/saved" "$work"/listed*
}

# --- parallel: ten cycles at once, and one after the other --------------------------------------
# The disks have different names, by which the events tell the cycles apart.
ten_cycles() {
    command=(bash -c 'for cycle in {1..10}; do
        landfall-replicate --store "$0" --machine "bench-$cycle" --disk "vda$cycle=$1" &
        [ -z "$2" ] || wait $! || exit 1
    done
    for job in $(jobs -p); do wait "$job" || exit 1; done' "$work/store" "$uri" "$1")
}
before_landfall_at_once() { fresh_output; }
command_landfall_at_once() { ten_cycles ''; }
events_landfall_at_once() { :; }
before_landfall_one_by_one() { fresh_output; }
command_landfall_one_by_one() { ten_cycles one; }

before_landfall_scans_at_once() { restore_store; }
command_landfall_scans_at_once() { ten_cycles ''; }
events_landfall_scans_at_once() { :; }
before_landfall_scans_one_by_one() { restore_store; }
command_landfall_scans_one_by_one() { ten_cycles one; }

case_parallel() {
    local image=$work/small.raw gib
    gendisk used "$image" "$parallel_mib" 5 || die 'gendisk failed'
    gib=$(allocated_gib "$image" | awk '{print $1 * 10}')
    start_server nbdkit "$image"
    begin_group parallel 'ten first copies' "$gib"
    interleave landfall_at_once landfall_one_by_one
    run_one 0 landfall_at_once
    check_replica raw "$image"
    save_store
    gendisk mutate "$image" 20 7 || die 'gendisk failed'
    begin_group parallel 'ten hash scans' "$gib"
    interleave landfall_scans_at_once landfall_scans_one_by_one
    run_one 0 landfall_scans_at_once
    check_replica raw "$image"
    check_base
    stop_server
    rm -rf "$work/saved" "$image"
}
