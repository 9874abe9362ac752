#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# downtime.sh RESULTS GIB… -- MIB…: how long a machine is away when it moves: from its power-off to the
# first instruction on the target, for disks of so many GiB and so much written in the last moment, and
# what each part takes. A machine that boots by itself moves by `landfall migrate` between two libvirt
# hosts on this machine, and back. Writes downtime.tsv, downtime.md and downtime.svg to RESULTS.
export KIT_NO_SKIP=1
bench=$(cd "$(dirname "$0")" && pwd)
. "$bench/../tests/failover/failover.sh"
no_tests
results=$1
shift
gibs=() mibs=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    gibs+=("$1")
    shift
done
[ $# -eq 0 ] || mibs=("${@:2}")

# What goes beside shutdown, transfer and QEMU's start is ours, and to stay below a second.
overhead_max_ms=1000

# ms_of STEP EXPRESSION: of the move's journal, in milliseconds.
ms_of() {
    landfalld_sql d "SELECT CAST(round($2) AS INTEGER) FROM failover_step WHERE failover = $operation AND \
        step = '$1' AND result IS NOT NULL ORDER BY seq DESC LIMIT 1" | grep . || echo 0
}
took() {
    ms_of "$1" '(ended_us - begun_us) / 1000.0'
}
fact() {
    ms_of "$1" "json_extract(result, '\$.$2')"
}

# move GIB MIB: one line of downtime.tsv.
move() {
    local off running down transfer start step parts='' sum=0
    guest_wait_ready "$machine" $patience
    # Nothing of it is known to the passes: it comes between the power button and the power-off.
    guest_run "$machine" "echo 'dd if=/dev/urandom of=/dev/vda bs=1M count=$2 seek=100 conv=fsync' >/run/last-words" \
        >/dev/null
    landfall migrate "$machine" --target there --probe power=1 --yes --follow >"$KIT_TMP/log" 2>&1 ||
        die "the move failed: $(tail -n 5 "$KIT_TMP/log")"
    operation=$(landfalld_sql d "SELECT max(id) FROM failover WHERE kind = 'migrate'")
    off=$(ms_of shutdown "json_extract(result, '\$.off_at_us') / 1000.0")
    running=$(ms_of start "json_extract(result, '\$.running_at_us') / 1000.0")
    down=$((running - off))
    transfer=$(($(fact final timings.read_ms)))
    start=$(ms_of start "(json_extract(result, '\$.running_at_us') - json_extract(result, '\$.started_at_us')) / 1000.0")
    for step in final fence pin clone define start; do
        parts+=$'\t'$(took $step)
        sum=$((sum + $(took $step)))
    done
    printf '%s\t%s\t%s\t%s\t%s\t%s%s\t%s\t%s\n' "$1" "$2" "$down" "$transfer" "$start" \
        $((down - transfer - start)) "$parts" $((down - sum)) "$(fact final timings.verify_ms)" >>"$results/downtime.tsv"
    guest_console_start[$machine]=$(stat -c %s "$KIT_TMP/$machine.console")
    landfall rollback "$machine" --yes --follow >"$KIT_TMP/log" 2>&1 || die "$(tail -n 5 "$KIT_TMP/log")"
    guest_open_channel "$machine"
}

report() {
    echo "# Downtime of a move"
    echo
    echo "From the guest's power-off to the first instruction on the target, in ms; load before: $load."
    echo "*Transfer* is reading, hashing and sending the last delta; *QEMU* is its start with the processors"
    echo "standing still. *Ours* is the rest, and at most $overhead_max_ms. Then the steps, whole, with what"
    echo "they share with these; *between* is the daemon's journal and the start of each step's process."
    echo "*Verify* is a part of *final*: the transferred blocks, read from both sides again."
    echo
    echo "| disk | last write | downtime | transfer | QEMU | **ours** | final | fence | pin | clone | define | start | between | verify |"
    echo "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    awk -F'\t' '{ printf "| %s GiB | %s MiB | %s | %s | %s | **%s** |", $1, $2, $3, $4, $5, $6
        for (i = 7; i <= 14; i++) printf " %s |", $i
        print "" }' "$results/downtime.tsv"
    echo
    echo "![What the time is spent on](downtime.svg)"
}

chart() {
    gnuplot <<END
set terminal svg size 900, 420 font 'sans-serif,13' background 'white'
set output '$results/downtime.svg'
set title 'Downtime of a move, ms'
set style data histograms
set style histogram rowstacked
set style fill solid 0.8 noborder
set boxwidth 0.7
set key outside top
set yrange [0:*]
set grid ytics
set datafile separator '\t'
set xtics rotate by -25
plot '$results/downtime.tsv' using 4:xtic(strcol(1).' GiB, '.strcol(2).' MiB') lc rgb '#3b78b8' title 'transfer', \
     '' using 5 lc rgb '#999999' title "QEMU's start", '' using 6 lc rgb '#c03028' title 'ours'
END
}

load=$(cut -d ' ' -f 1-3 /proc/loadavg)
mkdir -p "$results"
: >"$results/downtime.tsv"
two_hosts
start_daemon
landfall host add here "$LIBVIRT_DEFAULT_URI" >/dev/null
landfall host add there "$there_uri" >/dev/null
landfall store add main "$store" >/dev/null
landfall target set there --network production=lan --store-path "$store" >/dev/null
for gib in "${gibs[@]}"; do
    machine=move-$gib
    define_counting "$machine" 10 "${gib}G"
    guest_start "$machine"
    wait_for 30 landfall replicate "$machine" --store main --interval 1h >/dev/null 2>&1
    wait_for $patience has_point "$machine"
    for mib in "${mibs[@]}"; do
        echo "downtime, $gib GiB, $mib MiB" >&2
        move "$gib" "$mib"
    done
    guest_destroy "$machine"
done
report >"$results/downtime.md"
chart
awk -F'\t' -v most=$overhead_max_ms '$6 > most { bad = 1 } END { exit bad }' "$results/downtime.tsv" ||
    { echo "downtime: our share of it is above $overhead_max_ms ms" >&2; [ -z "${BENCH_GATE:-}" ]; }
