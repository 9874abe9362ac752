#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh quick|full [CASE…]: Landfall against its peers, on the same disks in the same minutes.
# Needs the programs in PATH, as `make bench` sets it. Writes the table and the chart to
# $LANDFALL_BUILD/bench; BENCH_WORK names another scratch folder (on the file system to measure),
# BENCH_KEEP=1 keeps its disks for the next run. README.md says what the numbers mean.
set -u
set -o pipefail
bench=$(cd "$(dirname "$0")" && pwd)
mode=${1:-quick}
shift
cases=("${@:-}")
case $mode in
quick)
    size_mib=1024 rounds=3 dirty_blocks=256 kinds=(nbdkit qemu-qcow2)
    some=(full_copy hash_scan bitmap size)
    ;;
full)
    size_mib=8192 rounds=${BENCH_ROUNDS:-5} dirty_blocks=1024 kinds=(nbdkit qemu-raw qemu-qcow2)
    some=(full_copy hash_scan bitmap size tls parallel)
    ;;
*)
    echo 'usage: run.sh quick|full [full_copy|hash_scan|bitmap|size|tls|parallel]…' >&2
    exit 2
    ;;
esac
[ -n "${cases[0]}" ] || cases=("${some[@]}")

die() {
    echo "bench: $*" >&2
    exit 1
}
PATH=$LANDFALL_BUILD/bench:$PATH
out=$LANDFALL_BUILD/bench
work=${BENCH_WORK:-$out/work}/$mode
results=$work/results.tsv
# What a run writes, and some more: see measure.c.
warm_mib=$((size_mib / 2 + 256))
plain_pid=

mkdir -p "$work" || die "cannot create $work"
needed_mib=$((size_mib * 3))
free_mib=$(df -BM --output=avail "$work" | tail -n 1 | tr -dc 0-9)
[ "$free_mib" -ge "$needed_mib" ] || die "$work: $free_mib MiB free, $needed_mib needed"

. "$bench/kit.sh"
. "$bench/cases.sh"

clean_up() {
    stop_server
    [ -z "$plain_pid" ] || kill "$plain_pid" 2>/dev/null
    rm -f "$work"/*.sock "$work"/*.pid
    if [ -n "${BENCH_KEEP:-}" ]; then
        rm -rf "$work"/{store,saved,saved-*,sized-*,out,log,rsync-copy,dirty.qcow2}
    else
        rm -rf "$work"
    fi
}
trap clean_up EXIT
rm -f "$work"/*.sock "$work"/*.pid

rm -f "$results" "$work/sizes.tsv"
if [ ! -f "$work/disks-made" ]; then
    echo 'making the disks' >&2
    gendisk create "$work/base.raw" "$size_mib" 1 || die 'gendisk failed'
    cp --sparse=always "$work/base.raw" "$work/changed.raw" || die 'no room for the changed disk'
    gendisk mutate "$work/changed.raw" 20 7 || die 'gendisk failed'
    for disk in base changed; do
        qemu-img convert -f raw -O qcow2 "$work/$disk.raw" "$work/$disk.qcow2" || die 'qemu-img failed'
    done
    touch "$work/disks-made"
fi

for name in "${cases[@]}"; do
    declare -F "case_$name" >/dev/null || die "no case $name"
    "case_$name"
done

[ -s "$results" ] || die 'nothing was measured'
"$bench/report.pl" "$mode" "$size_mib" "$rounds" "$results" "$work/sizes.tsv" "$bench/targets.tsv" \
    "$out/$mode.dat" >"$out/$mode.md" || die 'the report failed'
cat "$out/$mode.md"
# A case without a peer has no bar.
if [ -s "$out/$mode.dat" ]; then
    gnuplot -c "$bench/chart.gp" "$out/$mode.dat" "$out/$mode.svg" || die 'gnuplot failed'
fi
echo "written to $out" >&2
[ "$failures" = 0 ] || die "$failures runs failed"
