#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The rooms depend one way, down: base <- replicator, snapshot <- appliance. tests/ and bench/ may
# use anything. A header of a library is a dependency too: a room that includes it is linked to it.
set -u
. "$(dirname "$0")/common.sh"

# room: the rooms it may include: the libraries it must not see
allowed_rooms() {
    case $1 in
    base) echo 'base' ;;
    replicator) echo 'base replicator' ;;
    snapshot) echo 'base snapshot' ;;
    appliance) echo 'base replicator snapshot appliance' ;;
    *) echo any ;;
    esac
}
forbidden_libraries() {
    case $1 in
    base) echo '^(libvirt/|libnbd\.h|liburing\.h|sqlite3\.h|microhttpd\.h|rbd/)' ;;
    replicator) echo '^(libvirt/|sqlite3\.h|microhttpd\.h)' ;;
    snapshot) echo '^(sqlite3\.h|microhttpd\.h|liburing\.h|rbd/)' ;;
    *) echo '^$' ;;
    esac
}

while IFS= read -r file; do
    room=${file%%/*}
    rooms=$(allowed_rooms "$room")
    libraries=$(forbidden_libraries "$room")
    while IFS=: read -r line include; do
        if [[ $include =~ \"([^\"]+)\" ]]; then
            path=${BASH_REMATCH[1]}
            [ -f "$path" ] || finding "$file:$line: \"$path\" is no path from the root: write #include \"room/file.h\""
            [ "$rooms" = any ] || [[ " $rooms " == *" ${path%%/*} "* ]] ||
                finding "$file:$line: $room/ includes ${path%%/*}/: $room/ may include: $rooms"
        elif [[ $include =~ \<([^\>]+)\> && ${BASH_REMATCH[1]} =~ $libraries ]]; then
            finding "$file:$line: $room/ includes <${BASH_REMATCH[0]}: that library belongs to another room"
        fi
    done < <(grep -nE '^[[:space:]]*#[[:space:]]*include' "$file")
done < <(c_files)
verdict
