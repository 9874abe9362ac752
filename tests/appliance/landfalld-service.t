#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit: systemd understands every line of it, and judges what is left to an attacker; the daemon
# and a cycle do with what it leaves them. systemd itself does not run here: the same kernel is asked
# for the same limits, one by one, and system calls are held against the filter.
. "$(dirname "$0")/../kit/kit.sh"
requires systemd-analyze perl ssh setpriv unshare strace nbdkit
[ "$(id -u)" = 0 ] || skip_all "needs root"

unit=$KIT_TMP/landfalld.service
source=$KIT_TOP/appliance/daemon/landfalld.service
# systemd looks for the program where programs are installed.
sed "s#^ExecStart=landfalld#ExecStart=$KIT_BUILD/landfalld#" "$source" >"$unit"
is "systemd understands it" "$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -F landfalld || true)" ''
ok "and judges its exposure to be less than 3.5 of 10" systemd-analyze security --offline=yes \
    --threshold=35 --no-pager "$unit"

# value NAME: what the unit says, of all lines of the name.
value() {
    sed -n "s/^$1=//p" "$source"
}

# --- the limits, without systemd ----------------------------------------------------------------

capabilities=$(value CapabilityBoundingSet | tr ' ' '\n' | sort | sed 's/^CAP_/+/' | tr 'A-Z\n' 'a-z,' | sed 's/,$//')
state=$KIT_TMP/state
runtime=$KIT_TMP/runtime
cat >"$KIT_TMP/limited" <<'END'
#!/bin/bash
# In a mount namespace of its own: what ProtectSystem=full and ProtectProc=invisible do; and
# MemoryDenyWriteExecute=yes, which the kernel knows by itself since 6.3 (PR_SET_MDWE).
set -e
capabilities=$1
shift
for folder in /usr /boot /etc; do
    mount --bind "$folder" "$folder"
    mount -o remount,bind,ro "$folder"
done
mount -t proc -o hidepid=invisible proc /proc
exec perl -e 'require "sys/syscall.ph"; syscall(SYS_prctl(), 65, 1, 0, 0, 0); exec @ARGV' setpriv --no-new-privs --bounding-set "-all,$capabilities" --inh-caps "-all" "$@"
END
chmod +x "$KIT_TMP/limited"
limited=(unshare --mount --propagation slave "$KIT_TMP/limited" "$capabilities")
run "${limited[@]}" touch /etc/landfall-was-here
is "the limits hold: /etc is read-only" "$status" 1
is "the limits hold: capabilities" "$("${limited[@]}" sed -n 's/^CapBnd:\t//p' /proc/self/status)" \
    "$(printf '%016x' $((1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 8 | 1 << 10 | 1 << 23)))"

is "the watch of scratch space gets its turn" "$("${limited[@]}" nice -n -10 true 2>&1)" ''

# All system calls of the daemon and of a cycle. A traced process is slow, not different.
trace=(strace -f -qq -o "$KIT_TMP/calls")
start_background "${limited[@]}" "${trace[@]}" landfalld --state-dir "$state" --runtime-dir "$runtime" \
    --listen 127.0.0.1:0
ok "the daemon starts" wait_for 60 grep -q '^landfalld: ready$' "$KIT_LOG"
daemon=$KIT_PID
ok "and answers" landfall --socket "$runtime/landfalld.sock" host list
# libvirt takes all rights from the ssh that it starts.
ok "a host behind ssh" landfall --socket "$runtime/landfalld.sock" host add far qemu+ssh://root@127.0.0.1:1/system
problem() {
    landfall --socket "$runtime/landfalld.sock" host list | grep -E '^far .*cannot connect'
}
ok "does not answer" wait_for 20 problem
like "which is all that is wrong with it" "$(problem)" 'Connection refused'
stop_process "$(pgrep -P "$daemon" -x landfalld)"
wait "$daemon" || true
mv "$KIT_TMP/calls" "$KIT_TMP/calls-daemon"
is "and ends as always" "$(ls -A "$runtime")" ''

truncate -s 1M "$KIT_TMP/disk"
start_nbdkit "$KIT_TMP/nbd" -r file "$KIT_TMP/disk"
for round in 1 2; do
    ok "a cycle, round $round" "${limited[@]}" "${trace[@]}" landfall cycle --disk vda="$KIT_URI" --machine m1 \
        --store "$KIT_TMP/store"
    cat "$KIT_TMP/calls" >>"$KIT_TMP/calls-cycle"
done

# --- system calls -------------------------------------------------------------------------------

# members <SETS: the system calls of sets, and of the sets in them.
members() {
    local name
    while IFS= read -r name; do
        case $name in
        @*) systemd-analyze syscall-filter "$name" | sed -nE '2,$s/^ +([@a-z0-9_-]+)$/\1/p' | members ;;
        *) echo "$name" ;;
        esac
    done
}
comm -23 <(value SystemCallFilter | sed '/^~/d' | tr ' ' '\n' | members | sort -u) \
    <(value SystemCallFilter | sed -n 's/^~//p' | tr ' ' '\n' | members | sort -u) >"$KIT_TMP/filter"
ok "the filter is a list of system calls" grep -qx io_uring_enter "$KIT_TMP/filter"
fails "without those of others" grep -qx -e mount -e ptrace -e keyctl "$KIT_TMP/filter"
for program in daemon cycle; do
    sed -nE 's/^[0-9]+ +([a-z0-9_]+)\(.*/\1/p' "$KIT_TMP/calls-$program" | sort -u >"$KIT_TMP/used"
    ok "calls of the $program were seen" grep -qx execve "$KIT_TMP/used"
    is "all calls of the $program pass the filter" "$(comm -23 "$KIT_TMP/used" "$KIT_TMP/filter")" ''
    is "no socket of the $program is of another family" "$(sed -nE 's/.* socket\((AF_[A-Z0-9]+),.*/\1/p' \
        "$KIT_TMP/calls-$program" | sort -u | grep -vxF "$(value RestrictAddressFamilies | tr ' ' '\n')" || true)" ''
done
done_testing
