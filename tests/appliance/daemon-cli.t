#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The commands on a daemon as an operator meets them: what they print for people and for programs,
# exit codes, and what is said when there is no daemon, a wrong one, or one that may not be asked.
. "$(dirname "$0")/../kit/libvirtd.sh"
. "$(dirname "$0")/landfalld.sh"
requires jq setpriv script

export LANDFALL_SOCKET=$KIT_TMP/d-run/landfalld.sock

# json NAME FILTER EXPECTED COMMAND…: one JSON text on standard output and nothing else anywhere.
json() {
    local name=$1 filter=$2 expected=$3
    shift 3
    "$@" --json >"$KIT_TMP/out" 2>"$KIT_TMP/err" || true
    is "$name: is JSON" "$(jq -rc "$filter" "$KIT_TMP/out" 2>&1)" "$expected"
    is "$name: nothing but JSON" "$(jq -s length "$KIT_TMP/out")$(<"$KIT_TMP/err")" 1
}

# --- without a daemon ---------------------------------------------------------------------------

status "A50: no daemon" 1 "not running: $LANDFALL_SOCKET is not there.*hint: start it: systemctl start" landfall host list
json "A50: no daemon" .code source landfall host list
status "no daemon where the option says" 1 'not running: /nowhere/a.sock is not there' landfall --socket /nowhere/a.sock host list
status "the option after the command" 1 '/nowhere/b.sock is not there' landfall host list --socket /nowhere/b.sock
status "an option that is none" 2 'Unknown option --sock' landfall --sock /nowhere host list
status "a URL and a socket" 2 'not both' landfall --socket /nowhere host list --url https://127.0.0.1:1
status "a URL without TLS" 2 'asked by https' landfall --url http://127.0.0.1:1 host list
status "no URL" 2 'is no URL' landfall --url nonsense host list
status "nobody at the URL" 1 'cannot reach https://127.0.0.1:1.*hint: is landfalld running there' \
    landfall --url https://127.0.0.1:1 host list
status "stores without a folder are the daemon's" 1 'not running' landfall store list
status "half a command" 2 'landfall job: which of these: list, show, follow, cancel' landfall job
status "a wrong second word" 2 "no command 'job fly', only list, show" landfall job fly
status "help of a group" 0 'On a daemon:' landfall host --help
status "which daemon, in the help" 0 'LANDFALL_TOKEN_FILE' landfall host list --help-connection
# What is wrong with the line itself is said without asking anybody.
status "a duration that is none" 2 "interval: '1h30' is no duration.*hint: such as" landfall replicate m --store s --interval 1h30
status "a size that is none" 2 "bandwidth: '5X' is no size" landfall replicate m --store s --bandwidth 5X
status "a number that is none" 2 "retain: '-1' is no number from 1, nor all" landfall settings m --retain=-1
status "no store" 2 'name the store.*hint: landfall store list' landfall replicate m
status "no change" 2 'at least one setting' landfall settings m
status "a job that is no number" 2 "'x' is no number of a job" landfall job follow x
status "a password is no argument" 2 'Unknown option --password' landfall account add a --password secret

# --- one daemon ---------------------------------------------------------------------------------

landfalld_start d --listen 127.0.0.1:0
status "no hosts" 0 '^name +uri +status' landfall host list
status "a host" 0 'host t is added; landfall machine list --host t' landfall host add t test:///default
status "the same again" 1 "a host 't' already.*hint:" landfall host add t test:///default
status "a bad name" 2 "'BAD' is no name" landfall host add BAD test:///default
status "no such host" 2 "no host 'x'.*hint: landfall host list" landfall host show x
status "no URI" 2 "'alpha.example' is not a URI.*hint: .*qemu.ssh" landfall host add a alpha.example
status "nor another one" 2 "'alpha.example' is not a URI" landfall host change t --uri alpha.example
status "the hosts" 0 't +test:///default' landfall host list
status "the host" 0 'uri +test:///default' landfall host show t
status "another role" 0 'host t is changed' landfall host change t --role source
status "a role that is none" 2 'hint: use source, target or both' landfall host change t --role king
status "no change of a host" 2 'at least one thing' landfall host change t
(umask 077 && printf 'gehe1m\n' >"$KIT_TMP/word")
status "a password of a host" 0 'is changed' landfall host change t --password-file "$KIT_TMP/word"
unlike "is shown to nobody" "$(landfall host show t; landfall host show t --json; landfall audit list)" gehe1m
json "the hosts" '.items[0] | [.name, .uri, .roles] | join(" ")' 't test:///default source' landfall host list
json "the host" .name t landfall host show t
json "no such host" '.event + .code' errormissing landfall host show x

status "a store" 0 "store main is $KIT_TMP/store" landfall store add main "$KIT_TMP/store"
status "a folder from where one stands" 0 "store here is $KIT_TMP/here" bash -c 'cd "$KIT_TMP" && landfall store add here here'
mkdir "$KIT_TMP/other" && touch "$KIT_TMP/other/file"
status "a folder with other things" 2 'not a Landfall store' landfall store add other "$KIT_TMP/other"
status "the stores" 0 "main +local +$KIT_TMP/store" landfall store list
json "the stores" '[.items[].name] | join(" ")' 'here main' landfall store list
status "the same folder without the daemon" 0 '^name +machine' landfall store list "$KIT_TMP/store"
status "a store is forgotten" 0 'its folder is as it was' landfall store remove here
ok "and its folder is there" test -d "$KIT_TMP/here"
status "no such store" 2 "no store 'here'" landfall store remove here

status "the settings" 0 'interval_s +900' landfall setting list
status "a setting" 0 'interval_s is set' landfall setting set interval_s 600
json "the settings" .interval_s 600 landfall setting list
status "one that is empty" 0 'alert_webhook +-' landfall setting list
status "alerts that would go nowhere" 2 'takes a URL.*hint: such as https' landfall setting set alert_webhook alpha.example
status "alerts to a web server" 0 'is set' landfall setting set alert_webhook https://alpha.example/x
landfall setting set alert_webhook '' >"$KIT_TMP/out"
status "no such setting" 2 "no setting 'fly'" landfall setting set fly 1
status "a value that is none" 2 . landfall setting set interval_s soon
status "the audit" 0 'socket:root +host.add +host/t' landfall audit list
json "the audit, its newest" '.items | length' 2 landfall audit list --limit 2
status "a limit that is none" 2 'limit takes a number' landfall audit list --limit=-1

# --- passwords, tokens, HTTPS -------------------------------------------------------------------

url=https://$(sed -n 's/^landfalld: https on //p' "$LANDFALLD_LOG")
pin=$(sed -n 's/^landfalld: public key //p' "$LANDFALLD_LOG")
(umask 077 && printf 'correct horse battery\n' >"$KIT_TMP/word")
status "an account" 0 'account ann is added' landfall account add ann --role operator --password-file "$KIT_TMP/word"
status "a password by a pipe" 0 'account bob is added' bash -c 'landfall account add bob --password-file - <"$KIT_TMP/word"'
status "an empty password" 2 'there is no password' landfall account add eve --password-file /dev/null
status "no file" 2 'cannot open' landfall account add eve --password-file "$KIT_TMP/none"
status "a short password" 2 . bash -c 'echo x | landfall account add eve --password-file -'
# setsid has no terminal to ask on; script has one, and types.
status "no terminal" 2 'no terminal.*hint: give --password-file' setsid -w landfall account add eve
answers() {
    { sleep 0.3; printf '%s\n' "$1"; sleep 0.3; printf '%s\n' "$2"; sleep 0.3; } |
        script -qec "landfall account add ${3:-eve} 2>&1; echo status \$?" /dev/null
}
typed=$(answers 'tr0ub4dor and three' 'tr0ub4dor and three')
like "A51: a password is asked for twice" "$typed" 'password:.*again:.*account eve is added'
unlike "A51: and not shown" "$typed" 'tr0ub4dor'
like "two that differ" "$(answers 'tr0ub4dor and three' 'tr0ub4dor and four' other)" 'not the same.*status 2'
like "the accounts" "$(landfall account list)" 'ann +operator +20[-0-9]+ .*bob +viewer'
json "the accounts" '[.items[].name] | join(" ")' 'ann bob eve' landfall account list
unlike "no hash in there" "$(<"$KIT_TMP/out")" 'hash|salt|password"'
status "another password" 0 'bob has a new password' landfall account password bob --password-file "$KIT_TMP/word"
status "an account goes" 0 'account bob is removed' landfall account remove bob
status "no such account" 2 bob landfall account remove bob

token() {
    (umask 077 && landfall token add "$@" 2>/dev/null >"$KIT_TMP/$1.token")
}
ok "a token" token reader
ok "a token of an operator" token writer --role operator
ok "a token for a second" token brief --expires 1s
is "one line, for a file" "$(wc -l <"$KIT_TMP/reader.token")" 1
like "the tokens" "$(landfall token list)" 'reader +viewer +20[-0-9]+ [:0-9]+Z +socket:root.*writer +operator'
unlike "A51: a token is listed to nobody" "$(landfall token list; landfall token list --json)" "$(<"$KIT_TMP/reader.token")"
over=(landfall --url "$url" --pin "$pin")
status "HTTPS, pinned" 0 'test:///default' "${over[@]}" host list --token-file "$KIT_TMP/reader.token"
status "by the environment" 0 'test:///default' env LANDFALL_URL="$url" LANDFALL_PIN="$pin" \
    LANDFALL_TOKEN_FILE="$KIT_TMP/reader.token" landfall host list
status "certified" 0 'test:///default' landfall --url "$url" --ca-file "$KIT_TMP/d/https-certificate.pem" \
    host list --token-file "$KIT_TMP/reader.token"
status "A52: a certificate that nobody vouches for" 2 'not trusted.*hint: name who vouches' \
    landfall --url "$url" host list --token-file "$KIT_TMP/reader.token"
status "A52: another key than the pinned one" 2 'another key.*hint:.*in between' \
    landfall --url "$url" --pin "sha256//$(head -c 32 /dev/zero | base64)" host list --token-file "$KIT_TMP/reader.token"
status "no token" 2 'hint: .*token' "${over[@]}" host list
status "a token that is none" 2 'hint: .*token' "${over[@]}" host list --token-file "$KIT_TMP/word"
chmod 644 "$KIT_TMP/reader.token"
status "A51: a token that everybody may read" 2 'hint: chmod 600' "${over[@]}" host list --token-file "$KIT_TMP/reader.token"
chmod 600 "$KIT_TMP/reader.token"
status "no file of a token" 2 'cannot read the token' "${over[@]}" host list --token-file "$KIT_TMP/none"
status "a viewer may not" 2 . "${over[@]}" host add u test:///default --token-file "$KIT_TMP/reader.token"
status "an operator may" 0 'is added' "${over[@]}" host add u test:///default --token-file "$KIT_TMP/writer.token"
is "the token is who did it" "$(landfall audit list --limit 1 --json | jq -r '.items[0].who')" token:writer
brief_is_over() {
    ! "${over[@]}" host list --token-file "$KIT_TMP/brief.token"
}
ok "a token expires" wait_for 5 brief_is_over
status "an expired token" 2 'hint: .*token' "${over[@]}" host list --token-file "$KIT_TMP/brief.token"
id=$(landfall token list --json | jq '.items[] | select(.name == "reader").id')
status "a token goes" 0 "token $id is removed" landfall token remove "$id"
status "a removed token" 2 'hint: .*token' "${over[@]}" host list --token-file "$KIT_TMP/reader.token"

# --- machines: libvirt's test driver has one called test, now on two hosts ------------------------

machines_are() {
    [ "$(landfall machine list --json | jq '.items | length')" = "$1" ]
}
ok "both are found" wait_for 20 machines_are 2
like "the machines" "$(landfall machine list)" 'name +host +power +state.*test +t +running +discovered.*test +u '
json "the machines of one host" '.items[].host' u landfall machine list --host u
status "the machines of no host" 2 "no host 'x'" landfall machine list --host x
status "a name that two have" 2 "'test' may be any of 2 machines.*hint: which one: t/test, u/test\?" landfall machine show test
status "with its host" 0 'host +u' landfall machine show u/test
json "the same" '[.name, .host] | join(" ")' 'test u' landfall machine show u/test
status "no such machine" 2 "no machine 'nobody'.*hint: landfall machine list" landfall machine show nobody
status "a name that needs care" 2 "no machine 'a&host=t/\?#%'" landfall machine show 'a&host=t/?#%'
status "a machine that cannot be replicated" 1 'blocked.*not ready' landfall machine readiness u/test
status "nor is it begun" 1 'hint: ' landfall replicate u/test --store main
json "why not" .ready false landfall machine readiness u/test
status "look again" 0 'host u is being looked at' landfall host refresh u
for verb in sync pause resume stop verify; do
    status "$verb what is not replicated" 2 'machine test is not.*hint: .*landfall replicate' landfall $verb u/test
done
status "settings of what is not replicated" 2 'hint: .*landfall replicate' landfall settings u/test --retain 3
status "replicate into no store" 2 "no store 'nowhere'" landfall replicate u/test --store nowhere
status "no recovery points" 0 '^no\. +created' landfall recovery-point list u/test
for list in "job list" "alert list" "recovery-point list u/test" "token list" "account list"; do
    # shellcheck disable=SC2086  # words
    json "$list" '.items | type' array landfall $list
    # shellcheck disable=SC2086
    status "$list, for people" 0 '^[a-z.]+ +[a-z]' landfall $list
done
status "no such job" 2 'no job 4711' landfall job show 4711
status "no such job to follow" 2 'no job 4711' landfall job follow 4711
status "no such job to cancel" 2 'no job 4711' landfall job cancel 4711
status "jobs of a state that is none" 2 . landfall job list --state flying
status "a host goes" 0 'host u is removed' landfall host remove u
ok "and its machine" wait_for 20 machines_are 1

# --- another user, and the end ------------------------------------------------------------------

status "another user" 2 'you may not use.*hint: run this as root' \
    setpriv --reuid 65534 --regid 65534 --clear-groups landfall host list
ok "the daemon ends" stop_process "$LANDFALLD_PID"
status "after its end" 1 'not running' landfall host list
landfalld_start d --listen 0
kill -s KILL "$LANDFALLD_PID"
{ wait "$LANDFALLD_PID" || true; } 2>/dev/null
status "after its death" 1 'not running: .* has nobody behind it' landfall host list
done_testing
