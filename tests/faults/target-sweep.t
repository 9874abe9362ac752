#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each call that a cycle with retention makes on its store fails: the n-th fsync, write, rename, open
# and so on, with EIO or ENOSPC, for every n, once or from then on (a sample of them;
# LANDFALL_LONG=1: all). The cycle ends with a clear error or is done, no recovery point is damaged,
# nothing is left over, and the next cycle goes on.

. "$(dirname "$0")/fault-store.sh"

SAMPLE=${LANDFALL_SAMPLE:-40}
CALLS=(openat fsync fdatasync pwrite64 pread64 read rename unlink rmdir ftruncate fallocate flock
    mkdir fstat newfstatat getdents64 lseek io_uring_setup io_uring_enter io_uring_register fcntl)
# What fails from some call on: the disk. Opening and looking still works, from the kernel's caches.
DISK_CALLS=(fsync fdatasync pwrite64 rename unlink ftruncate fallocate mkdir)

# broken CALLS WHEN ERROR: a cycle in $STORE with that fault; says what is wrong with what it left.
broken() {
    traced --seccomp-bpf -e trace="$1" -e inject="$1:error=$3:when=$2"
    # In another thread the n-th is another call; it may also be one of the dynamic linker.
    if [ "$status" -eq 127 ] || ! grep -q INJECTED "$KIT_TMP/trace"; then return 0; fi
    hit=$((hit + 1))
    [ "$status" -eq 0 ] || failed=$((failed + 1))
    error_is_clear && points_may_be "$status" && points_are_right && heals
}

fault_template
hit=0 failed=0 wrong=0 count=0
for kind in first delta; do
    fault_store $kind
    list_calls "${CALLS[@]}" | sed "s/^/$kind /"
done >"$KIT_TMP/calls"
ok "a cycle makes enough calls to break" [ "$(wc -l <"$KIT_TMP/calls")" -ge 200 ]
while read -r kind call n; do
    echo "$kind $call $n EIO"
    case $call in pwrite64 | fallocate | mkdir | io_uring_enter) echo "$kind $call $n ENOSPC" ;; esac
done <"$KIT_TMP/calls" >"$KIT_TMP/faults"
for kind in first delta; do
    for n in 1 2 3 4 5 6 8 10 12 15 18 22 26; do
        for error in EIO ENOSPC EROFS; do
            echo "$kind $(IFS=, && echo "${DISK_CALLS[*]}") $n+ $error"
        done
    done
done >>"$KIT_TMP/faults"
if [ -n "${LANDFALL_LONG:-}" ]; then
    cp "$KIT_TMP/faults" "$KIT_TMP/sample"
else
    seq "$seed" $((seed + 20000)) >"$KIT_TMP/random"
    shuf -n "$SAMPLE" --random-source="$KIT_TMP/random" "$KIT_TMP/faults" >"$KIT_TMP/sample"
fi
# A kernel that takes no write at all: nothing may wait for it.
echo "delta io_uring_enter 1+ EIO" >>"$KIT_TMP/sample"
while read -r kind calls when error; do
    count=$((count + 1))
    fault_store "$kind"
    broken "$calls" "$when" "$error" >"$KIT_TMP/problem" || {
        wrong=$((wrong + 1))
        diag "$kind cycle, $calls number $when fails with $error: $(cat "$KIT_TMP/problem")"
        diag "$(grep INJECTED "$KIT_TMP/trace" | head -n 3)"
    }
done <"$KIT_TMP/sample"
diag "$count of $(wc -l <"$KIT_TMP/faults") faults: $hit hit, $failed ended the cycle"
ok "most faults hit" [ $hit -ge $((count * 3 / 4)) ]
ok "some end the cycle, some come after its commit" \
    [ $failed -ge $((count / 4)) -a $failed -le $((count * 4 / 5)) ]
is "promises broken" $wrong 0
done_testing
