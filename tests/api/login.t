#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who may use the API: the first account, passwords, sessions and when they end, lock-outs, tokens,
# roles; what is kept of secrets, and what the audit says.
. "$(dirname "$0")/../kit/kit.sh"
. "$KIT_TOP/tests/api/api.sh"
requires jq curl python3 sqlite3

sql() { landfalld_sql api "$1"; }
login() { printf '{"name":"%s","password":"%s"}' "$1" "$2"; }

# --- the first account --------------------------------------------------------------------------

api_start
like "H5: the first start prints a code" "$API_CODE" '^([0-9a-f]{4}-){7}[0-9a-f]{4}$'
answers "H5: another code" 401 nobody POST /api/v1/setup "{\"code\":\"${API_CODE//[0-9]/7}\",\"password\":\"$API_PASSWORD\"}"
answers "no code" 401 nobody POST /api/v1/setup "{\"code\":\"\",\"password\":\"$API_PASSWORD\"}"
answers "a short password" 400 nobody POST /api/v1/setup "{\"code\":\"$API_CODE\",\"password\":\"12345678901\"}"
first_code=$API_CODE
stop_process "$LANDFALLD_PID"
api_start
is "H5: the code is printed once" "$API_CODE" ""
upper=$(tr a-f A-F <<<"${first_code//-/ }")
answers "H5: the code, as people type it" 201 nobody POST /api/v1/setup "{\"code\":\"$upper\",\"password\":\"$API_PASSWORD\"}"
answers "H5: the code is worth nothing any more" 409 nobody POST /api/v1/setup "{\"code\":\"$first_code\",\"password\":\"$API_PASSWORD\"}"

# --- sessions -----------------------------------------------------------------------------------

answers "a wrong password" 401 nobody POST /api/v1/session "$(login admin 'correct horse batterx')"
wrong_password=$answer
answers "nobody of that name" 401 nobody POST /api/v1/session "$(login ghost 'correct horse batterx')"
is "H6: whether there is such an account is not told" "$answer" "$wrong_password"
api_login
is "the right password" "$code" 201
cookie=$(grep -i '^set-cookie' <<<"$headers")
for word in '__Host-landfall=' HttpOnly Secure SameSite=Strict 'Path=/;'; do
    like "H3: the cookie has $word" "$cookie" "$word"
done
unlike "H3: the cookie is for this host alone" "$cookie" Domain
secret=$(awk '/__Host-landfall/ {print $7}' "$KIT_TMP/jar")
like "the cookie is 256 bits" "$secret" '^[A-Za-z0-9_-]{43}$'
answers "the session" 200 cookie GET /api/v1/session
is "tells its token" "$(jq -r '.kind + .csrf_token' <<<"$answer")" "session$API_CSRF"
answers "a change by the session" 201 session POST /api/v1/hosts '{"name":"h","uri":"test:///default"}' -H "Origin: https://$API_HTTPS" -H 'Sec-Fetch-Site: same-origin'
answers "an answer that is not JSON" 200 session GET /metrics
answers "who one is on the socket" 200 root GET /api/v1/session
is "is root" "$(jq -r '.who + " " + .role + " " + .kind' <<<"$answer")" "socket:root operator socket"

sql "UPDATE session SET seen_us = seen_us - 1700 * 1000000"
answers "H7: a session that was used a while ago" 200 session GET /api/v1/session
answers "is in use again" 200 session GET /api/v1/session
sql "UPDATE session SET seen_us = seen_us - 1801 * 1000000"
answers "H7: a session that was not used for long" 401 session GET /api/v1/session
api_login
sql "UPDATE session SET started_us = started_us - 43201 * 1000000"
answers "H7: a session that lasts too long, in use or not" 401 session GET /api/v1/session
answers "other times" 200 root PATCH /api/v1/settings '{"session_idle_s":60}'
api_login
sql "UPDATE session SET seen_us = seen_us - 61 * 1000000"
answers "hold at once" 401 session GET /api/v1/session
is "sessions that are over are forgotten with the next login" "$(api_login; sql 'SELECT count(*) FROM session')" 1

cp "$KIT_TMP/jar" "$KIT_TMP/old-jar"
api_login
answers "log out" 204 session DELETE /api/v1/session
like "takes the cookie away" "$headers" 'Set-Cookie: __Host-landfall=;.*Max-Age=0'
answers "H7: and the session is over" 401 session GET /api/v1/session
answers "another one goes on" 200 nobody GET /api/v1/session '' -b "$KIT_TMP/old-jar"
answers "a new password" 200 root PATCH /api/v1/accounts/admin '{"password":"another horse battery"}'
answers "H7: ends all sessions" 401 nobody GET /api/v1/session '' -b "$KIT_TMP/old-jar"
answers "the old password" 401 nobody POST /api/v1/session "$(login admin "$API_PASSWORD")"
API_PASSWORD='another horse battery'
api_login
is "the new password" "$code" 201
answers "no log-out on the socket" 409 root DELETE /api/v1/session

# --- accounts and roles -------------------------------------------------------------------------

answers "a viewer" 201 session POST /api/v1/accounts '{"name":"eve","password":"a viewer of little"}'
is "is what an account is when nothing is said" "$(jq -r .role <<<"$answer")" viewer
answers "the same again" 409 session POST /api/v1/accounts '{"name":"eve","password":"a viewer of little"}'
answers "the last operator stays" 409 root DELETE /api/v1/accounts/admin
answers "and stays operator" 409 root PATCH /api/v1/accounts/admin '{"role":"viewer"}'
api_login eve 'a viewer of little'
answers "a viewer looks" 200 session GET /api/v1/hosts
answers "H2: a viewer changes nothing" 403 session DELETE /api/v1/hosts/h
answers "and does not see who may" 403 session GET /api/v1/accounts
answers "a role changes" 200 root PATCH /api/v1/accounts/eve '{"role":"operator"}'
answers "at once, also in a session" 204 session DELETE /api/v1/hosts/h
answers "null is nothing" 200 root PATCH /api/v1/accounts/eve '{"role":null,"password":null}'
answers "an account goes" 204 root DELETE /api/v1/accounts/eve
answers "H7: and its sessions" 401 session GET /api/v1/hosts
answers "the accounts" 200 root GET /api/v1/accounts
is "have no hash" "$(jq -c '[.items[] | keys[]] | unique' <<<"$answer")" '["created_at","name","password_set_at","role","used_at"]'

# --- tokens -------------------------------------------------------------------------------------

token() { ask nobody GET /api/v1/session '' -H "Authorization: Bearer $1"; }
answers "a token" 201 root POST /api/v1/tokens '{"name":"ci","role":"operator","expires_s":3600}'
first=$(jq -r .token <<<"$answer")
id=$(jq -r .id <<<"$answer")
like "is long" "$first" '^landfall_[A-Za-z0-9_-]{43}$'
answers "the same again" 409 root POST /api/v1/tokens '{"name":"ci"}'
token "$first"
is "a token is somebody" "$code $(jq -r '.who + " " + .role' <<<"$answer")" "200 token:ci operator"
answers "a change by it needs no CSRF token" 201 nobody POST /api/v1/hosts '{"name":"h","uri":"test:///default"}' -H "Authorization: Bearer $first"
answers "the tokens" 200 root GET /api/v1/tokens
like "when it was used is known" "$(jq -r '.items[0].used_at' <<<"$answer")" '^20'
unlike "and it is not shown again" "$answer" "$first"
sql "UPDATE token SET expires_us = 1"
token "$first"
is "H7: an expired token" "$code" 401
sql "UPDATE token SET expires_us = NULL"
answers "a token is revoked" 204 root DELETE "/api/v1/tokens/$id"
token "$first"
is "H7: and worth nothing at once" "$code" 401
answers "twice is not there" 404 root DELETE "/api/v1/tokens/$id"

# --- guessing -----------------------------------------------------------------------------------

guess() { ask nobody POST /api/v1/session "$(login "$1" "${2-wrong and long enough}")"; }
for _ in 1 2 3 4 5; do guess spirit; done
is "five guesses are answered" "$code" 401
guess spirit
is "H6: the sixth is not, also of an account that is none" "$code" 429
like "H6: and how long to wait is told" "$headers" 'Retry-After: (2[0-9]|30)'
for _ in 1 2 3 4 5; do guess admin; done
guess admin "$API_PASSWORD"
is "H6: not even the right one" "$code" 429
stop_process "$LANDFALLD_PID"
api_start
guess admin "$API_PASSWORD"
is "H6: nor after a new start" "$code" 429
answers "H6: nobody locks root out" 200 root GET /api/v1/accounts
sql "UPDATE lockout SET until_us = 1 WHERE key = 'account/admin'"
guess admin
sql "UPDATE lockout SET until_us = until_us - 31 * 1000000 WHERE key = 'account/admin'"
guess admin "$API_PASSWORD"
is "H6: the wait doubles" "$code" 429
sql "UPDATE lockout SET until_us = 1 WHERE key = 'account/admin'"
guess admin "$API_PASSWORD"
is "after the wait the right one opens" "$code" 201
is "and all is forgotten" "$(sql "SELECT count(*) FROM lockout WHERE key = 'account/admin'")" 0
for number in {1..20}; do guess "name$number"; done
guess another
is "H6: guesses from one address are limited, too" "$code" 429
like "in the audit" "$(sql "SELECT object FROM audit WHERE action = 'login.lock'")" 'address/127.0.0.1'
sql "DELETE FROM lockout"
stop_process "$LANDFALLD_PID"
api_start --listen '[::]:0'
port=${API_HTTPS##*:}
for API_HTTPS in "[::1]:$port" "127.0.0.1:$port"; do guess another; done
is "H6: of IPv6 a whole /64 counts, of IPv4 an address, whatever the socket calls it" \
    "$(sql "SELECT group_concat(key, ' ') FROM (SELECT key FROM lockout WHERE key LIKE 'address/%' ORDER BY key)")" \
    'address/127.0.0.1 address/::/64'
sql "DELETE FROM lockout"
pids=()
for number in {1..12}; do
    curl -sk -o "$KIT_TMP/at-once" -w '%{http_code}\n' -H 'Content-Type: application/json' \
        -d "$(login "n$number" 'wrong and long enough')" "https://$API_HTTPS/api/v1/session" &
    pids+=($!)
done >"$KIT_TMP/codes"
wait "${pids[@]}"
like "H6: a few passwords are looked at at once" "$(sort "$KIT_TMP/codes" | uniq -c | tr '\n' ' ')" '429'

# --- what is kept -------------------------------------------------------------------------------

for word in "$API_PASSWORD" "$first" "$secret" "$API_CSRF" "$first_code"; do
    ok "H8: no secret is in the database or the log" bash -c '! grep -raF -- "$1" "$2" "$3"' - "$word" "$KIT_TMP/api" "$LANDFALLD_LOG"
done
is "H8: passwords are kept by scrypt, with its parameters" "$(sql "SELECT scrypt_n, scrypt_r, length(salt), length(hash) FROM account")" '32768|8|32|32'
ask root GET '/api/v1/audit?limit=1000'
unlike "H8: nor in the audit" "$answer" "$API_PASSWORD"
for action in account.add account.change account.remove session.add session.remove token.add token.remove host.add host.remove setting.change; do
    is "H9: $action is in the audit" "$(jq "[.items[] | select(.action == \"$action\")] | length > 0" <<<"$answer")" true
done
is "H9: with who it was" "$(jq -r '[.items[] | select(.action == "host.add") | .who] | sort | join(" ")' <<<"$answer")" "admin token:ci"
ok "H1: every answer is as openapi.json says" api_answers_fit
done_testing
