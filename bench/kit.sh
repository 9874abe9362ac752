# SPDX-License-Identifier: Apache-2.0
# What the cases of the benchmark share: servers, one measured run, interleaved rounds. Sourced by
# run.sh, which sets work (scratch folder), results (TSV), rounds and size_mib.

# --- servers ------------------------------------------------------------------------------------
server_pid=
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
    for tries in {1..200}; do
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

# allocated_gib FILE: what of it is not a hole, the data that a reader must move.
allocated_gib() {
    du -B 1 "$1" | awk '{printf "%.3f", $1 / 1024 / 1024 / 1024}'
}

# run_one ROUND TOOL: prepares, runs tool_TOOL measured, records. Round 0 warms up and is dropped.
# What a tool writes goes to $work/out; before_TOOL, where there is one, restores what it changes.
run_one() {
    local round=$1 tool=$2 line
    declare -F "before_$tool" >/dev/null && "before_$tool"
    sync -f "$work"
    cat "$served" >/dev/null
    "command_$tool"
    if line=$(measure --warm-mib "$warm_mib" ${server_pid:+--server "$server_pid"} -- \
        "${command[@]}" 2>"$work/log"); then
        [ "$round" = 0 ] || printf '%s\t%s\t%s\t%s\t%s\n' "$case" "$source" "$tool" "$round" "$line" \
            >>"$results"
    else
        echo "FAILED: $case, $source, $tool: ${command[*]}" >&2
        tail -n 5 "$work/log" >&2
        printf '%s\t%s\t%s\t%s\tfailed\n' "$case" "$source" "$tool" "$round" >>"$results"
        failures=$((failures + 1))
    fi
}

# interleave CASE SOURCE GIB TOOL…: A B C, A B C, …: what drifts on the machine hits all alike.
interleave() {
    case=$1 source=$2
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$work/sizes.tsv"
    shift 3
    echo "$case, $source" >&2
    local round tool
    for round in $(seq 0 "$rounds"); do
        for tool in "$@"; do run_one "$round" "$tool"; done
    done
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
        tar --null --no-recursion -T - -cf -) | tar -C "$work/store" -xf -
    (cd "$work/saved" && find . -name base.raw -exec ln {} "$work/store/"{} \;)
}
check_base() {
    [ "$base_before" = "$(find "$work/saved" -name base.raw -exec stat -c '%s %Y' {} +)" ] ||
        die "a delta cycle wrote into the base image: the rounds were not alike"
}

# check_replica FORMAT FILE: the newest layer holds what the source does. A benchmark of a tool that
# does something else measures nothing.
check_replica() {
    local layers=("$work"/store/*/disks/vda/*.qcow2) newest format=qcow2
    newest=${layers[-1]}
    [ -f "$newest" ] || { newest=$(echo "$work"/store/*/disks/vda/base.raw) format=raw; }
    qemu-img compare -q -f "$1" -F "$format" "$2" "$newest" ||
        die "$case, $source: the replica differs from the source"
}
