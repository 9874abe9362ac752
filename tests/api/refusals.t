#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the API refuses, for every operation that openapi.json names: without authentication, in the
# wrong role, with a bad body, for what is not there, from another site's page.
. "$(dirname "$0")/../kit/kit.sh"
. "$KIT_TOP/tests/api/api.sh"
requires jq curl python3 sqlite3

ulimit -s 4096
api_start
api_people
api_login
# A parser that calls itself for each bracket would need more stack than there is.
head -c 65000 /dev/zero | tr '\0' '[' >"$KIT_TMP/nested"
head -c 70000 /dev/zero | tr '\0' x >"$KIT_TMP/large"

# refused NAME CODE ERROR WHO METHOD PATH [BODY [OPTION…]]: counts; a table has one line of TAP.
wrong=()
refused() {
    local name=$1 expected=$2 error=$3
    shift 3
    ask "$@"
    [ "$code" = "$expected" ] && [[ $answer == *"\"code\":\"$error\""* ]] ||
        wrong+=("$name: $2 $3: $code $answer")
}
table_is() {
    is "$1" "$(printf '%s\n' "${wrong[@]}")" ""
    wrong=()
}

# role method path has-body free-body query, one operation a line; ids and names that are not there.
jq -r '.paths | to_entries[] | .key as $path | .value | to_entries[] |
    [.value["x-role"], (.key | ascii_upcase),
     ($path | gsub("{id}"; "999999") | gsub("{name}"; "nobody-here")),
     (if .value.requestBody then "body" else "none" end),
     (if $path | test("{") then "named" else "fixed" end)] | join(" ")' \
    appliance/api/openapi.json >"$KIT_TMP/operations"
count=$(wc -l <"$KIT_TMP/operations")
ok "there are many operations" test "$count" -ge 30

while read -r role method path _ _; do
    [ "$role" = none ] || refused 'no authentication' 401 unauthenticated nobody "$method" "$path"
done <"$KIT_TMP/operations"
table_is "H2: nothing is to be had without authentication"
refused 'what is not there' 401 unauthenticated nobody GET /api/v1/nothing
refused 'a token that is none' 401 unauthenticated nobody GET /api/v1/hosts '' -H 'Authorization: Bearer landfall_x'
refused 'another scheme' 401 unauthenticated nobody GET /api/v1/hosts '' -H 'Authorization: Basic YWRtaW46eA=='
refused 'a cookie that is none' 401 unauthenticated nobody GET /api/v1/hosts '' -H 'Cookie: __Host-landfall=x'
table_is "H2: nor with a proof that does not hold, nor whether something is there"

while read -r role method path _ _; do
    [ "$role" != operator ] || refused 'wrong role' 403 forbidden viewer "$method" "$path"
done <"$KIT_TMP/operations"
table_is "H2: a viewer does nothing that is the operator's"

while read -r role method path _ _; do
    [ "$method" != GET ] && [ "$role" != none ] || continue
    refused 'no CSRF token' 403 forbidden cookie "$method" "$path"
    refused 'another CSRF token' 403 forbidden cookie "$method" "$path" '' -H "X-CSRF-Token: x${API_CSRF#?}"
    refused 'another origin' 403 forbidden session "$method" "$path" '' -H 'Origin: https://evil.example'
    refused 'no origin' 403 forbidden session "$method" "$path" '' -H 'Origin: null'
    refused 'another site' 403 forbidden session "$method" "$path" '' -H 'Sec-Fetch-Site: cross-site'
done <"$KIT_TMP/operations"
refused 'a login from another site' 403 forbidden nobody POST /api/v1/session '{}' -H 'Origin: https://evil.example'
refused 'a set-up from another site' 403 forbidden nobody POST /api/v1/setup '{}' -H 'Sec-Fetch-Site: same-site'
table_is "H3: another site's page changes nothing by a session"

while read -r role method path _ _; do
    refused 'unknown parameter' 400 config root "$method" "$path?fly=1"
    refused 'JSON that is none' 400 config root "$method" "$path" '{"a":'
    refused 'no UTF-8' 400 config root "$method" "$path" $'{"a":"\xff"}'
    refused 'no object' 400 config root "$method" "$path" '["a"]'
    refused 'nesting' 400 config root "$method" "$path" "@$KIT_TMP/nested"
    refused 'unknown member' 400 config root "$method" "$path" '{"fly":1}'
    refused 'too large' 413 too-large root "$method" "$path" "@$KIT_TMP/large"
    refused 'too large, in pieces' 413 too-large root "$method" "$path" "@$KIT_TMP/large" -H 'Transfer-Encoding: chunked'
    API_TYPE=' text/plain' refused 'wrong type' 415 wrong-type root "$method" "$path" '{}'
    API_TYPE='' refused 'no type' 415 wrong-type root "$method" "$path" '{}'
done <"$KIT_TMP/operations"
table_is "H4: a body or parameter that is not as named is refused, by every operation"

while read -r role method path _ named; do
    [ "$named" = named ] || continue
    refused 'not there' 404 missing root "$method" "$path"
    case $path in */999999*) refused 'no id' 404 missing root "$method" "${path/999999/x}" ;; esac
    case $path in */999999*) refused 'no id' 404 missing root "$method" "${path/999999/-1}" ;; esac
    case $path in */999999*) refused 'no id' 404 missing root "$method" "${path/999999/99999999999999999999}" ;; esac
done <"$KIT_TMP/operations"
table_is "what is not there is 404"

refused 'a method' 405 method root BREW /api/v1/hosts
like "405 says what there is" "$headers" 'Allow: .*GET.*POST|Allow: .*POST.*GET'
refused 'a path' 404 missing root GET /api/v1/hosts/
refused 'a path' 404 missing root GET /api/v2/hosts
refused 'a path' 404 missing root GET /api/v1/hosts/%2e%2e
table_is "methods and paths that are not there"

ask root POST /api/v1/hosts '{"name":"target","uri":"test:///default"}'
# Members of the wrong type, and values out of bounds, one a line: method path body.
while read -r method path body; do
    refused 'a value' 400 config root "$method" "$path" "$body"
done <<'END'
POST /api/v1/hosts {}
POST /api/v1/hosts {"name":"h"}
POST /api/v1/hosts {"name":5,"uri":"test:///default"}
POST /api/v1/hosts {"name":"h/../h","uri":"test:///default"}
POST /api/v1/hosts {"name":"h","uri":["x"]}
POST /api/v1/hosts {"name":"h","uri":"test:///default","roles":"king"}
POST /api/v1/hosts {"name":"h","uri":"test:///default","password":1}
POST /api/v1/stores {"name":"s","path":"relative"}
POST /api/v1/stores {"name":"S","path":"/tmp"}
POST /api/v1/stores {"name":"s"}
POST /api/v1/accounts {"name":"a","password":"short"}
POST /api/v1/accounts {"name":"a long name of it","password":"long enough for all"}
POST /api/v1/accounts {"name":"averylongname","password":"averylongname"}
POST /api/v1/accounts {"name":"a","password":"long enough for all","role":"king"}
POST /api/v1/accounts {"name":"a","password":"long enough for all","role":7}
PATCH /api/v1/accounts/admin {"password":"short"}
PATCH /api/v1/accounts/admin {"role":"king"}
POST /api/v1/tokens {"name":"t","role":"none"}
POST /api/v1/tokens {"name":"t","expires_s":-1}
POST /api/v1/tokens {"name":"t","expires_s":9000000000000000000}
POST /api/v1/tokens {"role":"viewer"}
POST /api/v1/session {"name":"admin"}
POST /api/v1/setup {"code":"x"}
PATCH /api/v1/settings {"retain":"many"}
PATCH /api/v1/settings {"retain":-1}
PATCH /api/v1/settings {"session_idle_s":1}
PUT /api/v1/targets/target {"reach":"pigeon"}
PUT /api/v1/targets/target {"store_path":"relative"}
PUT /api/v1/targets/target {"pool":7}
PUT /api/v1/targets/target {"test_network":["a"]}
PUT /api/v1/targets/target {"networks":["a"]}
PUT /api/v1/targets/target {"networks":{"a":5}}
PUT /api/v1/targets/target {"machine":"large"}
PUT /api/v1/targets/target {"machine":{"fly":true}}
PUT /api/v1/targets/target {"machine":{"cpus":0}}
PUT /api/v1/targets/target {"machine":{"cpus":"4"}}
PUT /api/v1/targets/target {"machine":{"memory_mib":1e300}}
PUT /api/v1/targets/target {"machine":{"firmware":5}}
GET /api/v1/operations?limit=0
GET /api/v1/operations?kind=fly
GET /api/v1/operations?open=perhaps
GET /api/v1/operations?machine=x
GET /api/v1/audit?limit=0
GET /api/v1/audit?limit=x
GET /api/v1/audit?before=-1
GET /api/v1/audit?limit=1&limit=2
GET /api/v1/events?topics=fly
END
table_is "H4: values of another type or out of bounds are refused"
ask root GET /api/v1/hosts
is "nothing has come of all that" "$(jq -r '.items[].name' <<<"$answer")" target
ask root GET /api/v1/targets
is "nor targets" "$answer" '{"items":[]}'
ok "H1: every refusal is as openapi.json says" api_answers_fit
done_testing
