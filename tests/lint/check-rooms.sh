#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The rooms depend one way, down: base <- replicator, snapshot <- appliance. tests/ and bench/ may
# use anything. A header of a library is a dependency too: a room that includes it is linked to it.
set -u
. "$(dirname "$0")/common.sh"

# Sets rooms, those that a room may include, and forbidden, the libraries it must not see. No output, so
# that it takes no process: there are hundreds of files.
judge_room() {
    rooms=any forbidden='^$'
    case $1 in
    base) rooms='base' forbidden='^(libvirt/|libnbd\.h|liburing\.h|sqlite3\.h|microhttpd\.h|curl/|systemd/|rbd/)' ;;
    replicator) rooms='base replicator' forbidden='^(libvirt/|sqlite3\.h|microhttpd\.h|curl/|systemd/)' ;;
    snapshot) rooms='base snapshot' forbidden='^(sqlite3\.h|microhttpd\.h|curl/|systemd/|liburing\.h|rbd/)' ;;
    appliance) rooms='base replicator snapshot appliance' ;;
    esac
}

# Within appliance/, too, it goes one way: what keeps rows knows nothing of who asks, and the commands
# know the daemon by its API alone.
# Sets folders.
judge_folder() {
    folders=any
    case $1 in
    appliance/state | appliance/events | appliance/cycle | appliance/certificates) folders=$1 ;;
    appliance/cli) folders='appliance/cli appliance/cycle appliance/steps' ;;
    appliance/steps) folders='appliance/steps appliance/cycle appliance/certificates' ;;
    appliance/inventory) folders='appliance/inventory appliance/state appliance/events' ;;
    appliance/jobs) folders='appliance/jobs appliance/inventory appliance/state appliance/events' ;;
    appliance/failover) folders='appliance/failover appliance/jobs appliance/inventory appliance/state appliance/events' ;;
    appliance/api) folders='appliance/api appliance/certificates appliance/failover appliance/jobs appliance/inventory appliance/state appliance/events' ;;
    esac
}
# Some libraries belong to one folder there: sets owners.
judge_library() {
    owners=
    case $1 in
    sqlite3.h) owners='appliance/state' ;;
    microhttpd.h) owners='appliance/api' ;;
    curl/*) owners='appliance/cli appliance/jobs appliance/steps' ;;
    systemd/*) owners='appliance/daemon' ;;
    esac
}

judged=
while IFS=: read -r file line include; do
    if [ "$file" != "$judged" ]; then
        judged=$file
        room=${file%%/*}
        judge_room "$room"
        judge_folder "${file%/*}"
    fi
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
        judge_library "$library"
        [[ ! $library =~ $forbidden ]] ||
            finding "$file:$line: $room/ includes <$library>: that library belongs to another room"
        [ "$room" != appliance ] || [ -z "$owners" ] || [[ " $owners " == *" ${file%/*} "* ]] ||
            finding "$file:$line: <$library> belongs to $owners: call what is there"
    fi
done < <(c_files | tr '\n' '\0' | xargs -0r grep -HnE '^[[:space:]]*#[[:space:]]*include')
verdict
