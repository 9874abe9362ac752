# SPDX-License-Identifier: Apache-2.0
# What the cases of the benchmark share: servers, one measured run, interleaved rounds, tuning.
# Sourced by run.sh and live.sh with work (scratch folder), results (folder of the tables),
# rounds, short_factor and warm_mib set. The tables, tab-separated:
#   runs.tsv   case, source, tool, round, figure, value; "failed" is a figure too
#   sizes.tsv  case, source, GiB of data
#   notes.tsv  case, source, a sentence about this group

# --- servers ------------------------------------------------------------------------------------
server_pid=
served=
socket=$work/nbd.sock

stop_server() {
    [ -n "$server_pid" ] || return 0
    end "$server_pid"
    server_pid=
    rm -f "$socket" "$work/server.pid"
}

# serve PIDFILE COMMAND…: starts a server that dies with us, waits until it answers (a server opens
# its socket before it writes its pid file), and sets pid.
serve() {
    local pid_file=$1 tries
    shift
    setpriv --pdeathsig TERM "$@" 2>"$work/server.log" &
    pid=$!
    for tries in {1..500}; do
        [ -s "$pid_file" ] && return 0
        sleep 0.02
    done
    die "cannot start: $* $(tail -n 3 "$work/server.log")"
}

end() {
    kill "$1" 2>/dev/null && wait "$1"
}

# start_server KIND FILE [OPTION…]: serves FILE read-only on $socket, sets uri.
start_server() {
    local kind=$1 file=$2
    shift 2
    stop_server
    case $kind in
    nbdkit) serve "$work/server.pid" nbdkit -f -r -U "$socket" -P "$work/server.pid" "$@" file "$file" ;;
    qemu-raw | qemu-qcow2)
        serve "$work/server.pid" qemu-nbd -r -t -e 16 -f "${kind#qemu-}" --cache=writeback \
            --pid-file="$work/server.pid" -k "$socket" "$@" "$file"
        ;;
    esac
    server_pid=$pid
    served=$file
    uri="nbd+unix:///?socket=$socket"
}

# --- measured runs ------------------------------------------------------------------------------
failures=0
case='' source=''

# allocated_gib FILE: what of it is not a hole, the data that a reader must move.
allocated_gib() {
    du -B 1 "$1" | awk '{printf "%.4f", $1 / 1024 / 1024 / 1024}'
}

# record TOOL ROUND: figures, a name and a value a line, from standard input.
record() {
    local figure value
    while IFS=$'\t' read -r figure value; do
        printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$case" "$source" "$1" "$2" "$figure" "$value"
    done >>"$results/runs.tsv"
}

# prepare_run TOOL: the same start for every run: what the tool changes is as before, nothing is
# waiting to be written, the source is in the page cache. Sets command, and events for a tool with
# events_TOOL, whose output is JSON lines to take figures from.
prepare_run() {
    ! declare -F "before_$1" >/dev/null || "before_$1"
    "command_$1"
    events=()
    ! declare -F "events_$1" >/dev/null || events=(--events "$work/events")
    sync -f "$work"
    [ -z "$served" ] || gendisk warm "$served"
}

measured() {
    measure --warm-mib "$warm_mib" ${server_pid:+--server "$server_pid"} "${events[@]}" -- \
        "${command[@]}" 2>"$work/log"
}

# run_one ROUND TOOL: prepares, runs command_TOOL measured, records. Round 0 warms up and is dropped.
run_one() {
    local round=$1 tool=$2 figures
    prepare_run "$tool"
    if figures=$(measured); then
        [ ${#events[@]} = 0 ] || figures+=$'\n'$("$bench/events.pl" "$work/events")
        [ "$round" = 0 ] || record "$tool" "$round" <<<"$figures"
    else
        echo "FAILED: $case, $source, $tool: ${command[*]}" >&2
        tail -n 5 "$work/log" >&2
        record "$tool" "$round" <<<"failed"
        failures=$((failures + 1))
    fi
}

# begin_group CASE SOURCE GIB
begin_group() {
    case=$1 source=$2
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$results/sizes.tsv"
    echo "$case, $source" >&2
}

# interleave TOOL…: A B C, A B C, …: what drifts on the machine hits all alike.
interleave() {
    local round tool
    for round in $(seq 0 "$rounds"); do
        for tool in "$@"; do run_one "$round" "$tool"; done
    done
}

# For tools that all take a fraction of a second, of which one run says little, and write little.
interleave_short() {
    rounds=$((rounds * short_factor)) warm_mib=128 interleave "$@"
}

# --- tuning -------------------------------------------------------------------------------------
declare -A tuned=()

# tune TOOL OPTIONS…: a peer is compared at its best: runs the tool with each string of options, in
# turn, tuning_turns times, and leaves those of the fastest run in tuned[TOOL] for command_TOOL.
tune() {
    local tool=$1 options figures wall best='' best_wall='' turn
    shift
    for turn in $(seq "$tuning_turns"); do
        for options; do
            tuned[$tool]=$options
            prepare_run "$tool"
            figures=$(measured) || die "tuning $tool '$options' failed: $(tail -n 3 "$work/log")"
            wall=$(awk '$1 == "wall" {print $2}' <<<"$figures")
            if [ -z "$best_wall" ] || awk "BEGIN {exit !($wall < $best_wall)}"; then
                best=$options best_wall=$wall
            fi
        done
    done
    tuned[$tool]=$best
    note "$tool runs with ${best:-its defaults}, the fastest of $# settings tried."
}

# use_settings TOOL: those of tuned[TOOL] as words in settings.
use_settings() {
    read -ra settings <<<"${tuned[$1]}"
}

note() {
    printf '%s\t%s\t%s\n' "$case" "$source" "$*" >>"$results/notes.tsv"
}

# --- Landfall's store ---------------------------------------------------------------------------
# save_store, restore_store: the state after the first cycle. The base image is shared by a hard
# link: a cycle adds layers and never writes below them; check_base holds it to that.
save_store() {
    rm -rf "$work/saved"
    mv "$work/store" "$work/saved"
    base_before=$(find "$work/saved" -name base.raw -exec stat -c '%s %Y' {} +)
}
restore_store() {
    rm -rf "$work/store"
    mkdir -p "$work/store"
    (cd "$work/saved" && find . -name base.raw -prune -o -print0 |
        tar --null --no-recursion -T - -cSf -) | tar -C "$work/store" -xf -
    (cd "$work/saved" && find . -name base.raw -exec ln {} "$work/store/"{} \;)
}
check_base() {
    [ "$base_before" = "$(find "$work/saved" -name base.raw -exec stat -c '%s %Y' {} +)" ] ||
        die "a delta cycle wrote into the base image: the rounds were not alike"
}

# check_replica FORMAT FILE: the newest layer holds what the source does. A benchmark of a tool that
# does something else measures nothing.
check_replica() {
    local disk layers newest format=qcow2
    for disk in "$work"/store/*/disks/*; do
        layers=("$disk"/*.qcow2)
        newest=${layers[-1]}
        [ -f "$newest" ] || newest=$disk/base.raw format=raw
        qemu-img compare -q -f "$1" -F "$format" "$2" "$newest" ||
            die "$case, $source: the replica differs from the source"
    done
}
