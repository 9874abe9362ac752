#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The manual pages and the programs tell the same story: options, events with their members, causes
# and codes, in both directions; the pages render without a warning.
. "$(dirname "$0")/../kit/kit.sh"
requires scdoc nbdkit jq
cd "$KIT_TOP" || exit

for source in doc/*.scd; do
    page=$KIT_TMP/$(basename "${source%.scd}")
    ok "$source: scdoc takes it" bash -c 'scdoc <"$1" >"$2"' - "$source" "$page"
    if command -v man >/dev/null; then
        is "$source: renders without a warning" "$(man --warnings -l "$page" 2>&1 >/dev/null)" ''
    else
        skip "$source: renders without a warning" "man is not installed"
    fi
done
is "a page for each section of SEE ALSO" "$(grep -ohE '\*landfall[a-z-]*\*\([0-9]\)' doc/*.scd | sort -u |
    tr -d '*()' | sed -E 's/(.)$/.\1.scd/' | while read -r page; do [ -f "doc/$page" ] || echo "$page"; done)" ''

# --- options ------------------------------------------------------------------------------------

# section PAGE [TITLE]: a page's text, or that of one of its sections.
section() {
    awk -v title="${2:-}" '/^# / { inside = title == "" || $0 == "# " title } inside' "doc/$1.scd"
}

documented() {
    section "$@" | { grep -oE '^\*--[a-z-]+\*' || true; } | tr -d '*' | sort
}

# The options of --help; a short -h stands beside --help. Helps on a group are not options of a command.
offered() {
    "$@" --help | grep -oE '^  (-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | grep -v '^--help-' | sort
}

# Each command is a section of one page; what all on a daemon take stands in landfall(1).
on_daemon=$(documented landfall.1 "COMMANDS ON A DAEMON")
commands=$(landfall --help | grep -oE '^  [a-z-]+( [a-z]+)? {2,}' | sed -E 's/^ +//; s/ +$//')
daemon_commands=$(landfall --help | sed -n '/^On a daemon/,/^$/p')
while read -r command; do
    read -ra words <<<"$command"
    page=$({ grep -lx "# LANDFALL ${command^^}" doc/*.1.scd || true; } | sed -E 's#doc/(.*)\.scd#\1#')
    title="LANDFALL ${command^^}"
    [ "$command" != cycle ] || { page=landfall-cycle.1 title=OPTIONS; }
    if [ -z "$page" ]; then
        fail "landfall $command: has a page"
        continue
    fi
    if grep -q "^  $command  " <<<"$daemon_commands"; then
        is "landfall $command: options" "$({ documented "$page" "$title"; echo "$on_daemon"; } | grep . | sort)" \
            "$(offered landfall "${words[@]}" --help-all)"
    else
        is "landfall $command: options" "$(documented "$page" "$title")" "$(offered landfall "${words[@]}")"
    fi
    like "$page: the synopsis has landfall $command" "$(section "$page" SYNOPSIS)" "\*landfall $command\*"
done <<<"$commands"
is "landfall-replicate: options" "$(documented landfall-replicate.1 OPTIONS)" "$(offered landfall-replicate)"
is "landfalld: options" "$(documented landfalld.8 OPTIONS)" "$(offered landfalld)"
is "landfall: commands" "$(section landfall.1 COMMANDS | grep -oE '^\*landfall [a-z -]+\*' | tr -d '*' | sed 's/^landfall //')" "$commands"

# --- tokens -------------------------------------------------------------------------------------

# described PAGE SECTION: its defined words, one a line, without markup.
described() {
    section "$1" "$2" | grep -xE '(_[^_ ]+_(, )?)+' | tr -d '_\\' | tr ',' '\n' | tr -d ' ' | sort
}

causes=$({
    sed -nE 's/^#define SNAPSHOT_CAUSE_[A-Z_]+ "(.*)"/\1/p' snapshot/snapshot.h
    grep -ohE 'demote\(disk, "[a-z-]+"|demotion_cause : "[a-z-]+"' replicator/disk-plan.c | cut -d'"' -f2
} | sort -u)
is "causes of demotion" "$(described landfall-cycle.1 DEMOTION)" "$causes"
codes=$(sed -nE 's/.*\[LANDFALL_ERROR_[A-Z]+\] = "([a-z]+)".*\[LANDFALL_ERROR_[A-Z]+\] = "([a-z]+)".*/\1\n\2/p;
    s/^ *\[LANDFALL_ERROR_[A-Z]+\] = "([a-z]+)",$/\1/p' base/error.c)
is "codes of errors" "$(described landfall.1 ERRORS | grep -vx hint)" "$(sort <<<"$codes")"

# Those of the data path are passed to the observer; a cycle has its own, and passes on the others.
warnings() {
    section "$1" EVENTS | awk '/^_/ { inside = $0 == "_warning_" } inside'
}
for code in $(grep -ohE '(observer->data, |report_notes\([^"]*)"[a-z-]+"' replicator/*.c | cut -d'"' -f2 | sort -u); do
    like "landfall-replicate(1): warning $code" "$(warnings landfall-replicate.1)" "_${code}_"
done
for code in $(grep -ohE 'warn\(cycle, "[a-z-]+"' appliance/cycle/*.c | cut -d'"' -f2 | sort -u); do
    like "landfall-cycle(1): warning $code" "$(warnings landfall-cycle.1) $(warnings landfall-replicate.1)" \
        "_${code}_"
done

is "landfalld(8): settings" "$(section landfalld.8 SETTINGS | grep -xE '(_[^ ]+_(, )?)+' | tr -d '\\' | tr ',' '\n' |
    sed -E 's/^ *_(.*)_$/\1/' | sort)" "$(sed -nE 's/^    \{"([a-z_]+)", G_TYPE.*/\1/p' appliance/state/settings.c | sort)"

# --- events and formats, seen live --------------------------------------------------------------

truncate -s 1M "$KIT_TMP/disk"
start_nbdkit "$KIT_TMP/nbd" -r file "$KIT_TMP/disk"
store=$KIT_TMP/store

# check_events PAGE NAME <events: each event has an entry that names each member.
check_events() {
    local line event member entry missing=
    while IFS= read -r line; do
        event=$(jq -r .event <<<"$line")
        entry=$(section "$1" EVENTS | tr -d '\\' | awk -v head="_${event}_" '/^_/ { inside = $0 == head } inside')
        [ -n "$entry" ] || missing+=" $event"
        [ "$event" != error ] || continue
        for member in $(jq -r 'keys[] | select(. != "event")' <<<"$line"); do
            [[ $entry == *"_${member}_"* ]] || missing+=" $event.$member"
        done
    done
    is "$2: each event and member is documented" "$missing" ''
}
replicate=(landfall-replicate --store "$store" --machine m1 --disk vda="$KIT_URI")
{
    "${replicate[@]}"
    "${replicate[@]}" --bitmap vda=none
    landfall-replicate --store "$store" --machine m1 --disk vda="nbd+unix:///?socket=$KIT_TMP/none" || true
} >"$KIT_TMP/events"
check_events landfall-replicate.1 landfall-replicate <"$KIT_TMP/events"
landfall cycle --disk vda="$KIT_URI" --machine m2 --store "$store" --json >"$KIT_TMP/events"
check_events landfall-cycle.1 "landfall cycle" <"$KIT_TMP/events"

# members FILE: all names in a file of JSON, at any depth.
members() {
    jq -r '[paths | map(select(type == "string")) | last] | unique[]' "$1" | sort -u
}
undescribed() {
    local member
    for member in $(members "$1"); do
        section landfall-store.5 "$2" | tr -d '\\' | grep -q "^_.*${member}_\|^_${member}_" || echo "$member"
    done
}
manifest=$store/m1/recovery-points/000002.json
is "landfall-store(5): members of a manifest" "$(undescribed "$manifest" MANIFESTS)" ''
is "landfall-store(5): members of store.json" "$(undescribed "$store/store.json" STORE.JSON)" ''
is "landfall-store(5): members of machine.json" "$(undescribed "$store/m1/machine.json" MACHINE.JSON)" ''
layout=$(section landfall-store.5 DESCRIPTION | sed 's/000007/N/')
is "landfall-store(5): files of a store" "$(cd "$store" && find . -type f -printf '%f\n' |
    sed -E 's/[0-9]{6}/N/' | sort -u | while read -r file; do [[ $layout == *"/$file"* ]] || echo "$file"; done)" ''

# What the page calls work is work: the example, with values put in, on one line.
work=$(section landfall-replicate.1 WORK | awk '/^```/ { n++; next } n == 1' | tr -d '\n' |
    sed -e "s#PATH#\"$store\"#; s#KEY#\"m3\"#; s#NBD-URI#\"$KIT_URI\"#; s#{\.\.\.}#{\"a\": 1}#; s#, \.\.\.\]#]#g" \
        -e 's#"crash" | .*"shutdown"#"crash"#; s#"none" | .*"transferred"#"full"#; s#true | false#false#g; s#BYTES_PER_SECOND#1000000#' \
        -e 's#"command": \[TEXT\], *##; s#"bitmap_since": TEXT,##' \
        -e 's#\bN\b#1#g; s#\bTEXT\b#"text"#g; s#CONTEXT#"a:b"#; s#TOKEN#"token"#')
ok "landfall-replicate(1): the work is taken" landfall-replicate --stdin <<<"$work"
is "landfall-replicate(1): what it describes is in machine.json" "$(jq -c .a "$store/m3/machine.json")" 1

# --- READMEs ------------------------------------------------------------------------------------

# What stands in backticks or after a prompt and begins with "landfall" is a command that exists.
known=" $(while read -r command; do
    read -ra words <<<"$command"
    offered landfall "${words[@]}" --help-all
done <<<"$commands"; offered landfall-replicate; offered landfalld)"
is "README.md: options exist" "$(grep -oE '(^    \$ landfall|`(landfall )?-).*' README.md | grep -oE -- '--[a-z-]+' |
    sort -u | while read -r option; do [[ $known =~ [[:space:]]$option([[:space:]]|$) ]] || echo "$option"; done)" ''
is "READMEs: links lead somewhere" "$(for file in README.md */README.md; do
    { grep -oE '\]\([^)#:]+\)' "$file" || true; } | sed -E 's/^..(.*).$/\1/' | while read -r link; do
        [ -e "$(dirname "$file")/$link" ] || echo "$file: $link"
    done
done)" ''
done_testing
