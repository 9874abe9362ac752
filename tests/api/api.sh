# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The API by curl, to be sourced after the kit: a daemon with accounts and tokens, questions as
# anybody, and a record of every answer, which check-answers.py holds against openapi.json.

. "$KIT_TOP/tests/appliance/landfalld.sh"

API_PASSWORD='correct horse battery'
api_asked=0

# api_start OPTION…: a daemon with HTTPS. Sets API_HTTPS (address and port) and API_CODE.
api_start() {
    mkdir -p "$KIT_TMP/asked"
    landfalld_start api --listen 127.0.0.1:0 "$@"
    API_SOCKET=$KIT_TMP/api-run/landfalld.sock
    API_HTTPS=$(sed -n 's/^landfalld: https on //p' "$LANDFALLD_LOG")
    API_CODE=$(sed -n 's/^landfalld: set-up code //p' "$LANDFALLD_LOG")
}

# api_people: the account admin, and the tokens viewer and operator.
api_people() {
    ask root POST /api/v1/accounts "{\"name\":\"admin\",\"role\":\"operator\",\"password\":\"$API_PASSWORD\"}"
    ask root POST /api/v1/tokens '{"name":"viewer","role":"viewer"}'
    API_VIEWER=$(jq -r .token <<<"$answer")
    ask root POST /api/v1/tokens '{"name":"operator","role":"operator"}'
    API_OPERATOR=$(jq -r .token <<<"$answer")
}

# api_login [NAME [PASSWORD]]: the cookie in $KIT_TMP/jar, and API_CSRF.
api_login() {
    rm -f "$KIT_TMP/jar"
    ask nobody POST /api/v1/session \
        "{\"name\":\"${1:-admin}\",\"password\":\"${2:-$API_PASSWORD}\"}" -c "$KIT_TMP/jar"
    API_CSRF=$(jq -r '.csrf_token // empty' <<<"$answer")
}

# ask WHO METHOD PATH [BODY [CURL-OPTION…]]: WHO is root (on the socket), nobody, viewer, operator,
# session (with its CSRF token) or cookie (without). Sets $code, $answer and $headers.
ask() {
    local who=$1 method=$2 path=$3 body=${4-} file end=https://$API_HTTPS options=()
    shift $(($# < 4 ? 3 : 4))
    api_asked=$((api_asked + 1))
    file=$KIT_TMP/asked/$api_asked
    case $who in
    root) options=(--unix-socket "$API_SOCKET") end=http://socket ;;
    viewer) options=(-H "Authorization: Bearer $API_VIEWER") ;;
    operator) options=(-H "Authorization: Bearer $API_OPERATOR") ;;
    session) options=(-b "$KIT_TMP/jar" -H "X-CSRF-Token: $API_CSRF") ;;
    cookie) options=(-b "$KIT_TMP/jar") ;;
    esac
    [ -z "$body" ] || options+=(-H "Content-Type:${API_TYPE- application/json}" --data-binary "$body")
    code=$(curl -sk --max-time 20 -X "$method" -D "$file.headers" -o "$file.body" -w '%{http_code}' \
        "${options[@]}" "$@" "$end$path") || true
    [ -e "$file.body" ] || : >"$file.body"
    [ -e "$file.headers" ] || : >"$file.headers"
    printf '%s %s %s\n' "$method" "$path" "$code" >"$file.line"
    answer=$(<"$file.body")
    headers=$(<"$file.headers")
}

# answers NAME CODE WHO METHOD PATH [BODY [CURL-OPTION…]]
answers() {
    local name=$1 expected=$2
    shift 2
    ask "$@"
    [ "$code" = "$expected" ] || diag "$2 $3: $answer"
    is "$name" "$code" "$expected"
}

# Paths of operations that need a machine that can be moved; and the others.
API_MOVES='/(test-|migrate|confirm|rollback|complete|reverse|rehearsal|operations/)'
API_OTHERS="^(?!.*$API_MOVES)"

# api_answers_fit [PATHS]: every answer so far is one that openapi.json allows, and each operation of
# these paths has been used.
api_answers_fit() {
    /usr/bin/python3 tests/api/check-answers.py appliance/api/openapi.json "$KIT_TMP/asked" "$@"
}
