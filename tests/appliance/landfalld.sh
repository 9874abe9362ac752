# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Daemons of a test's own, to be sourced after the kit: everything of one lies in $KIT_TMP/NAME.

# landfalld_start NAME OPTION…: returns once it is ready. Sets LANDFALLD_PID.
landfalld_start() {
    local name=$1
    shift
    start_background landfalld --state-dir "$KIT_TMP/$name" --runtime-dir "$KIT_TMP/$name-run" \
        --listen 0 "$@"
    LANDFALLD_PID=$KIT_PID
    LANDFALLD_LOG=$KIT_LOG
    cleanup_fn landfalld_show_log "$LANDFALLD_LOG"
    wait_for 20 grep -q '^landfalld: ready' "$LANDFALLD_LOG" || die "$(<"$LANDFALLD_LOG")"
}

landfalld_show_log() {
    ! kit_is_failing || [ ! -s "$1" ] || { diag "--- the end of landfalld's log" && tail -n 25 "$1" | diag; }
}

# landfalld_sql NAME SQL: straight from the database, with what is still in its log.
landfalld_sql() {
    sqlite3 -cmd '.timeout 5000' "$KIT_TMP/$1/landfall.db" "$2"
}
