#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bash completion, driven as readline drives it: the words, the cursor, what comes back.
. "$(dirname "$0")/../kit/libvirtd.sh"
. "$(dirname "$0")/../appliance/landfalld.sh"
requires nbdkit jq
[ -r /usr/share/bash-completion/bash_completion ] || skip_all "bash-completion is not installed"

store=$KIT_TMP/store
truncate -s 1M "$KIT_TMP/disk"
start_nbdkit "$KIT_TMP/nbd" -r file "$KIT_TMP/disk"
landfall cycle --disk vda="$KIT_URI" --disk vdb="$KIT_URI" --machine alpha --store "$store" >"$KIT_TMP/log"
landfall cycle --disk vda="$KIT_URI" --disk vdb="$KIT_URI" --machine alpha --store "$store" >"$KIT_TMP/log"
landfall cycle --disk vda="$KIT_URI" --machine beta --store "$store" >"$KIT_TMP/log"
mkdir "$KIT_TMP/place" "$KIT_TMP/place/folder" && touch "$KIT_TMP/place/file"
virsh -q define /dev/stdin >"$KIT_TMP/log" <<END
<domain type='qemu'><name>web</name><memory>1024</memory><os><type>hvm</type></os><devices>
<disk type='file'><source file='/web.img'/><target dev='vda'/></disk>
<disk type='file'><source file='/data.img'/><target dev='vdb'/></disk></devices></domain>
END

# The shell that completes is not this one: the completion is no script with set -e.
cat >"$KIT_TMP/complete" <<'END'
. /usr/share/bash-completion/bash_completion
. "$KIT_TOP/doc/completion/$1"
cd "$KIT_TMP/place"
COMP_LINE=${*} COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9
# readline cuts words at these, and hands over the pieces.
COMP_WORDS=()
for word; do
    while [[ $word =~ ^([^=:]*)([=:]+)(.*)$ ]]; do
        [ -z "${BASH_REMATCH[1]}" ] || COMP_WORDS+=("${BASH_REMATCH[1]}")
        COMP_WORDS+=("${BASH_REMATCH[2]}")
        word=${BASH_REMATCH[3]}
        [ -n "$word" ] || break
    done
    [ -z "$word" ] && [ "${COMP_WORDS[-1]:-}" = = ] || COMP_WORDS+=("$word")
done
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }
function=_${1//-/_}
$function "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | tr '\n' ' '
END

# completes NAME EXPECTED WORD…: the last word is where the cursor is.
completes() {
    is "$1" "$(bash --norc "$KIT_TMP/complete" "${@:3}" | sed 's/ *$//')" "$2"
}

completes "commands" "--help --version $(landfall --help | sed -nE 's/^  ([a-z-]+).*/\1/p' | LC_ALL=C sort -u | tr '\n' ' ' |
    sed 's/ $//')" landfall ''
completes "a command begun" 'cycle' landfall cy
completes "commands of a group" 'add export list remove verify' landfall store ''
completes "a group with a hyphen" 'list' landfall recovery-point ''
completes "commands after an option" 'machine' landfall --socket /nowhere ma
completes "options before the command" '--socket=' landfall --s
completes "options, from --help" '--all --help --json --rebuild-block-map --recovery-point=' landfall store verify --
completes "options of a command on a daemon" '--password-file= --pin=' landfall account add --p
completes "no daemon, no names" '' landfall machine show ''
completes "states of jobs" 'failed' landfall job list --state f
completes "roles of an account" 'operator viewer' landfall account add --role ''
completes "roles of a host" 'both source target' landfall host add --role ''
completes "an option begun" '--scratch-dir= --socket-dir= --store=' landfall cycle --s
completes "options of the last command" '--force --format=' landfall store export "$store" alpha --fo
completes "a folder" 'folder' landfall store list f
completes "machines of a store" 'alpha beta' landfall store list "$store" ''
completes "after an option" 'alpha' landfall store verify --json "$store" a
completes "after an option with a value" 'alpha beta' landfall store verify --recovery-point 1 "$store" ''
completes "a file" 'file folder' landfall store export "$store" alpha f
completes "recovery points" '1 2' landfall store verify "$store" alpha --recovery-point ''
completes "recovery points, after =" '1 2' landfall store verify "$store" alpha --recovery-point=
completes "disks" 'vda vdb' landfall store export "$store" alpha --disk vd
completes "disks of another machine" 'vda' landfall store export "$store" beta --disk=vd
completes "formats" 'vmdk vpc' landfall store export "$store" beta --format v
completes "hosts" '///session ///system' landfall cycle --host qemu:
completes "machines of a host" 'web' landfall cycle --host qemu:///system --machine ''
completes "machines of a host, after =" 'web' landfall cycle --host=qemu:///system --machine=w
completes "a host behind ssh is not asked" '' landfall cycle --host qemu+ssh://nowhere/system --machine ''
completes "disks of a host's machine" 'vda vdb' \
    landfall cycle --host qemu:///system --machine web --exclude-disk ''
completes "machines of a store, without a host" 'alpha beta' landfall cycle --store "$store" --machine ''
completes "a store" 'folder' landfall cycle --store f
completes "a number is not guessed" '' landfall cycle --retain ''
completes "a store that is none" '' landfall store list "$KIT_TMP/place" ''

# Names that the daemon knows.
landfalld_start d
export LANDFALL_SOCKET=$KIT_TMP/d-run/landfalld.sock
landfall host add alpha qemu:///system >"$KIT_TMP/log"
landfall host add beta test:///default >"$KIT_TMP/log"
landfall store add main "$KIT_TMP/kept" >"$KIT_TMP/log"
knows_all() {
    [ "$(landfall machine list --json | jq '.items | length')" = 2 ]
}
ok "the daemon knows the machines" wait_for 20 knows_all
completes "machines" 'test web' landfall machine show ''
completes "machines, after options" 'web' landfall replicate --store main w
completes "machines, by another daemon" '' landfall --socket /nowhere machine show ''
completes "stores" 'main' landfall replicate web --store ''
completes "hosts of the daemon" 'alpha beta' landfall host show ''
completes "hosts, of machines" 'beta' landfall machine list --host b
completes "settings" 'retain' landfall setting set retai
completes "a new name is not guessed" '' landfall host add ''
completes "the folder of a new store" 'folder' landfall store add more f
completes "of two arguments the second" '' landfall host show alpha ''

landfall target set alpha --network br0=default >"$KIT_TMP/log"
completes "a host that becomes a target" 'alpha beta' landfall target set ''
completes "targets" 'alpha' landfall target show ''
completes "targets to move to" 'alpha' landfall migrate --yes web --target ''
completes "a machine to move" 'web' landfall migrate --yes w
completes "machines of tests" 'test web' landfall test list ''
completes "commands with a hyphen, beside a group" 'test test-cleanup test-migrate' landfall test
completes "probes" 'power' landfall test-migrate web --probe p
completes "what becomes of disks" 'keep merge' landfall complete web --disks ''

completes "landfall-replicate: options" '--machine-name= --machine=' landfall-replicate --m
completes "landfall-replicate: consistency" 'crash' landfall-replicate --consistency c
completes "landfall-replicate: a store" 'folder' landfall-replicate --store f
done_testing
