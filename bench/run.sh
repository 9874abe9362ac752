#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh quick|full [CASE…]: Landfall against its peers, on the same disks in the same minutes.
# Needs the programs in PATH, as `make bench` sets it. README.md says what the numbers mean and
# lists the variables that change what is run.
set -u
set -o pipefail
bench=$(cd "$(dirname "$0")" && pwd)
mode=${1:-quick}
shift
cases=("$@")
all_cases=(full_copy hash_scan contents hashing bitmap size listing tls parallel live downtime)
case $mode in
quick)
    size_mib=${BENCH_MIB:-512} rounds=${BENCH_ROUNDS:-3} tuning_turns=1 short_factor=1
    kinds=(nbdkit qemu-qcow2) delta_mibs=(64) parallel_mib=256
    some=(full_copy hash_scan bitmap size listing parallel live downtime)
    move_gib=(1) move_mib=(0 16)
    ;;
full)
    size_mib=${BENCH_MIB:-4096} rounds=${BENCH_ROUNDS:-3} tuning_turns=1 short_factor=2
    kinds=(nbdkit qemu-raw qemu-qcow2) delta_mibs=(8 64 256) parallel_mib=1024
    some=("${all_cases[@]}")
    move_gib=(1 10 50) move_mib=(0 16 256)
    ;;
*)
    echo "usage: run.sh quick|full [CASE]…, with the cases: ${all_cases[*]}" >&2
    exit 2
    ;;
esac
[ ${#cases[@]} -gt 0 ] || cases=("${some[@]}")
# 64 MiB changed where the disk is large enough.
dirty_blocks=$((size_mib >= 4096 ? 1024 : size_mib / 4))

die() {
    echo "bench: $*" >&2
    exit 1
}
PATH=$LANDFALL_BUILD/bench:$PATH
results=$LANDFALL_BUILD/bench/$mode
work=${BENCH_WORK:-$LANDFALL_BUILD/bench/work}/$mode
# What a run writes, and some more: see measure.c.
warm_mib=$((size_mib / 2 + 64))
plain_pid=

rm -rf "$results"
mkdir -p "$work" "$results" || die "cannot create $work"
needed_mib=$((size_mib * 3 + 4096))
free_mib=$(df -BM --output=avail "$work" | tail -n 1 | tr -dc 0-9)
[ "$free_mib" -ge "$needed_mib" ] || die "$work: $free_mib MiB free, $needed_mib needed"

. "$bench/kit.sh"
. "$bench/copy.sh"
. "$bench/delta.sh"

clean_up() {
    stop_server
    [ -z "$plain_pid" ] || kill "$plain_pid" 2>/dev/null
    rm -f "$work"/*.sock "$work"/*.pid
    if [ -n "${BENCH_KEEP:-}" ]; then
        find "$work" -mindepth 1 -maxdepth 1 ! -name 'base.*' ! -name 'changed.*' \
            ! -name disks-made -exec rm -rf {} +
    else
        rm -rf "$work"
    fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
rm -f "$work"/*.sock "$work"/*.pid

case_live() {
    [ "$(id -u)" = 0 ] || {
        echo 'live: left out, only root can start a private libvirt' >&2
        return 0
    }
    work=$work results=$results rounds=$rounds short_factor=$short_factor warm_mib=$warm_mib "$bench/live.sh" ||
        die 'the live case failed'
}

case_downtime() {
    [ "$(id -u)" = 0 ] || {
        echo 'downtime: left out, only root can start a private libvirt' >&2
        return 0
    }
    "$bench/downtime.sh" "$results" "${move_gib[@]}" -- "${move_mib[@]}" || die 'the downtime case failed'
}

made="$size_mib MiB"
if [ "$(cat "$work/disks-made" 2>/dev/null)" != "$made" ]; then
    echo 'making the disks' >&2
    gendisk used "$work/base.raw" "$size_mib" 1 || die 'gendisk failed'
    cp --sparse=auto "$work/base.raw" "$work/changed.raw" || die 'no room for the changed disk'
    gendisk mutate "$work/changed.raw" 20 7 || die 'gendisk failed'
    for disk in base changed; do
        qemu-img convert -f raw -O qcow2 "$work/$disk.raw" "$work/$disk.qcow2" || die 'qemu-img failed'
    done
    echo "$made" >"$work/disks-made"
fi

for name in "${cases[@]}"; do
    declare -F "case_$name" >/dev/null || die "no case $name"
done
load=$(cut -d ' ' -f 1-3 /proc/loadavg)
for name in "${cases[@]}"; do
    "case_$name"
done

if [ ! -s "$results/runs.tsv" ] && [ -s "$results/downtime.md" ]; then
    cat "$results/downtime.md"
    exit
fi
[ -s "$results/runs.tsv" ] || die 'nothing was measured'
# Status 100 says that a required figure was missed.
missed=0
"$bench/report.pl" "$results" "$bench/targets.tsv" \
    "$mode: disk of $size_mib MiB, $rounds rounds, load average before the run $load" || missed=$?
[ "$missed" = 0 ] || [ "$missed" = 100 ] || die 'the report failed'
[ ! -s "$results/downtime.md" ] || sed 's/^# /\n## /' "$results/downtime.md" >>"$results/report.md"
cat "$results/report.md"
if [ -s "$results/chart.dat" ]; then
    gnuplot -c "$bench/chart.gp" "$results/chart.dat" "$results/chart.svg" \
        "$(wc -l <"$results/chart.dat")" || die 'gnuplot failed'
fi
echo "written to $results" >&2
[ "$failures" = 0 ] || die "$failures runs failed"
[ "$missed" = 0 ] || [ -z "${BENCH_GATE:-}" ] || die 'a required figure was missed'
