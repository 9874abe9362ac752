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
    base) echo '^(libvirt/|libnbd\.h|liburing\.h|sqlite3\.h|microhttpd\.h|curl/|systemd/|rbd/)' ;;
    replicator) echo '^(libvirt/|sqlite3\.h|microhttpd\.h|curl/|systemd/)' ;;
    snapshot) echo '^(sqlite3\.h|microhttpd\.h|curl/|systemd/|liburing\.h|rbd/)' ;;
    *) echo '^$' ;;
    esac
}

# Within appliance/, too, it goes one way: what keeps rows knows nothing of who asks, and the commands
# know the daemon by its API alone.
allowed_folders() {
    case $1 in
    appliance/state | appliance/events | appliance/cycle | appliance/certificates) echo "$1" ;;
    appliance/cli) echo 'appliance/cli appliance/cycle appliance/steps' ;;
    appliance/steps) echo 'appliance/steps appliance/cycle appliance/certificates' ;;
    appliance/inventory) echo 'appliance/inventory appliance/state appliance/events' ;;
    appliance/jobs) echo 'appliance/jobs appliance/inventory appliance/state appliance/events' ;;
    appliance/failover) echo 'appliance/failover appliance/jobs appliance/inventory appliance/state appliance/events' ;;
    appliance/api) echo 'appliance/api appliance/certificates appliance/failover appliance/jobs appliance/inventory appliance/state appliance/events' ;;
    *) echo any ;;
    esac
}
# Some libraries belong to one folder there.
folders_of_library() {
    case $1 in
    sqlite3.h) echo 'appliance/state' ;;
    microhttpd.h) echo 'appliance/api' ;;
    curl/*) echo 'appliance/cli appliance/jobs appliance/steps' ;;
    systemd/*) echo 'appliance/daemon' ;;
    esac
}

while IFS= read -r file; do
    room=${file%%/*}
    folders=$(allowed_folders "${file%/*}")
    rooms=$(allowed_rooms "$room")
    libraries=$(forbidden_libraries "$room")
    while IFS=: read -r line include; do
        if [[ $include =~ \"([^\"]+)\" ]]; then
            path=${BASH_REMATCH[1]}
            [ -f "$path" ] || finding "$file:$line: \"$path\" is no path from the root: write #include \"room/file.h\""
            [ "$rooms" = any ] || [[ " $rooms " == *" ${path%%/*} "* ]] ||
                finding "$file:$line: $room/ includes ${path%%/*}/: $room/ may include: $rooms"
            [ "$folders" = any ] || [[ $path != appliance/* || " $folders " == *" ${path%/*} "* ]] ||
                finding "$file:$line: ${file%/*} includes ${path%/*}: it may include: $folders"
            # What a folder keeps to itself: statements and the connection are the state's.
            [ "$path" != appliance/state/database.h ] || [[ $file == appliance/state/* || $rooms = any ]] ||
                finding "$file:$line: \"$path\" is private to appliance/state: call its typed functions"
        elif [[ $include =~ \<([^\>]+)\> ]]; then
            library=${BASH_REMATCH[1]}
            owners=$(folders_of_library "$library")
            [[ ! $library =~ $libraries ]] ||
                finding "$file:$line: $room/ includes <$library>: that library belongs to another room"
            [ "$room" != appliance ] || [ -z "$owners" ] || [[ " $owners " == *" ${file%/*} "* ]] ||
                finding "$file:$line: <$library> belongs to $owners: call what is there"
        fi
    done < <(grep -nE '^[[:space:]]*#[[:space:]]*include' "$file")
done < <(c_files)
verdict
