#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A check that cannot fail proves nothing. Each check judges a small clean tree, which must pass,
# and then the same tree with one bad line or file in it, which must fail and name the place.
set -u
lint=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
number=0
failed=0

point() {
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        failed=1
    fi
}

spdx='SPDX-License-Identifier: Apache-2.0'

# A tree that every check accepts, in a folder of its own.
clean_tree() {
    rm -rf "$scratch/tree"
    mkdir -p "$scratch"/tree/{base,replicator,snapshot,appliance,tests/unit,tests/kit,build}
    cd "$scratch/tree" || exit 1
    cp "$lint/../../.clang-format" .
    git init -q .
    echo build/ >.gitignore
    local room
    for room in base replicator snapshot appliance tests; do echo "# $room" >"$room/README.md"; done
    printf '/* %s */\n#pragma once\n\nint base_answer(void);\n' "$spdx" >base/answer.h
    printf '/* %s */\n#include "base/answer.h"\n\nint base_answer(void)\n{\n    return 42;\n}\n' \
        "$spdx" >base/answer.c
    printf '/* %s */\n#include "base/answer.h"\n\nint main(void)\n{\n    return base_answer();\n}\n' \
        "$spdx" >appliance/main.c
    printf '#!/bin/bash\n# %s\necho "$1"\n' "$spdx" >tests/kit/say.sh
    printf '#!/bin/bash\n# %s\ntests/kit/say.sh 1..0\n' "$spdx" >tests/kit/kit.t
    # The link check wants a program to look at: any small one will do.
    cp "$(type -P true)" build/landfall-replicate
}

run_check() {
    local check=("$lint"/check-"$1".*)
    LANDFALL_BUILD=$scratch/tree/build "${check[0]}" 2>&1
}

# accepts CHECK: the clean tree passes.
accepts() {
    clean_tree
    report=$(run_check "$1")
    local status=$?
    [ $status = 0 ] && [ -z "$report" ]
    point $? "$1 accepts the clean tree"
    [ $status = 0 ] || printf '# %s\n' "$report"
}

# rejects CHECK WORD NAME: the tree as the caller spoiled it fails, and the report has WORD.
rejects() {
    report=$(run_check "$1")
    local status=$?
    [ $status != 0 ] && [[ $report == *"$2"* ]]
    point $? "$1 rejects $3"
}

# spoil FILE TEXT: adds TEXT, a line of C, to FILE of a clean tree.
spoil() {
    clean_tree
    printf '%s\n' "$2" >>"$1"
}

accepts rooms
spoil base/answer.c '#include "appliance/x.h"'
rejects rooms 'base/answer.c:8' 'base including appliance'
spoil replicator/x.c '#include "snapshot/x.h"'
rejects rooms 'replicator/x.c:1' 'replicator including snapshot'
spoil snapshot/x.c '#include "replicator/x.h"'
rejects rooms 'snapshot/x.c:1' 'snapshot including replicator'
spoil replicator/x.c '  #  include <libvirt/libvirt.h>'
rejects rooms 'libvirt/' 'replicator including libvirt'
spoil base/answer.c '#include "answer.h"'
rejects rooms 'no path from the root' 'an include relative to its file'
spoil appliance/main.c '#include <sqlite3.h>'
rejects rooms 'belongs to appliance/state' 'a library outside of its folder'
clean_tree
mkdir -p appliance/{state,cli}
echo '#include "appliance/state/rows.h"' | tee appliance/cli/x.c >appliance/main.c
rejects rooms 'appliance/cli includes appliance/state' 'a command including the state'
spoil appliance/main.c '#include "appliance/state/database.h"'
rejects rooms 'private to appliance/state' 'what a folder keeps to itself'
clean_tree
printf '#include "base/answer.h"\n' | tee replicator/x.c snapshot/x.c tests/x.c >appliance/x.c
report=$(run_check rooms)
point $? 'rooms accepts base from everywhere'

accepts links
clean_tree
rm build/landfall-replicate
rejects links 'not built' 'a program that is not there'
clean_tree
# A real program with a forbidden library: linked here, against a stand-in of that name.
echo 'int virtual(void); int main(void) { return virtual(); }' >"$scratch/main.c"
echo 'int virtual(void) { return 0; }' |
    gcc -shared -fPIC -Wl,-soname,libvirt.so.0 -o "$scratch/libvirt.so" -x c -
gcc -o build/landfall-replicate "$scratch/main.c" "$scratch/libvirt.so"
rejects links 'libvirt.so.0' 'a program linked to libvirt'

accepts banned
spoil base/answer.c 'static void f(void) { strcpy(a, b); }'
rejects banned 'base/answer.c:8: strcpy: use g_str' 'strcpy'
spoil snapshot/x.c 'int f(void) { return atoi("1"); }'
rejects banned 'g_ascii_string_to' 'atoi'
spoil replicator/x.c 'int f(void) { return open(path, O_RDONLY, 0600); }'
rejects banned 'O_CLOEXEC' 'open without O_CLOEXEC'
spoil replicator/x.c 'void f(void) { printf ("x"); }'
rejects banned 'never log or print' 'printf in a room'
spoil appliance/x.c 'void f(void) { exit(1); }'
rejects banned 'never end the program' 'exit in a room'
spoil tests/unit/x.c 'void f(void) { usleep(1); }'
rejects banned 'wait for the event' 'usleep in a test'
spoil snapshot/x.c 'void f(void) { signal(SIGTERM, on_signal); }'
rejects banned 'sigaction' 'signal with a handler'
spoil base/x.c 'typedef struct thing thing;'
rejects banned 'no typedef' 'a struct typedef'
clean_tree
cat >replicator/fine.c <<'END'
/* strcpy(a, b) in a comment, and system("x") too */
int f(void) { return open(path, O_RDONLY | O_CREAT |
                          O_CLOEXEC, 0600); }
void g(void) { ops->free(x); my_strcpy(a, b); thing.exit(1); signal(SIGPIPE, SIG_IGN); f("abort()"); } // gets(x)
END
report=$(run_check banned)
point $? 'banned accepts comments, strings, members and longer names'
# Each name of the table is tried, on a line of its own, so that a slip in one row does not disarm it.
clean_tree
names=()
while IFS=$'\t' read -r what _; do
    case $what in '' | '#'* | '~'*) continue ;; esac
    IFS='|' read -ra row <<<"$what"
    names+=("${row[@]}")
done <"$lint/banned.tsv"
[ ${#names[@]} -gt 0 ] && printf 'void f(void) { %s(x); }\n' "${names[@]}" >base/x.c
report=$(run_check banned)
disarmed=
for line in "${!names[@]}"; do
    [[ $'\n'$report == *$'\n'"base/x.c:$((line + 1)): ${names[line]}: use "* ]] || disarmed+=" ${names[line]}"
done
[ -z "$disarmed" ]
point $? "banned rejects every name of its table$disarmed"

accepts dead
spoil base/lonely.h '#pragma once'
rejects dead 'base/lonely.h:1: nobody includes' 'a header nobody includes'
clean_tree
mkdir -p replicator/a/b
echo 'int x;' >replicator/a/b/deep.c
rejects dead 'deep.c:1' 'a source too deep to be built'
spoil tests/unit/helper.c 'int x;'
rejects dead 'tests/unit/helper.c:1: nothing builds' 'a test source nobody names'
spoil tests/kit/lonely.sh 'echo'
rejects dead 'tests/kit/lonely.sh:1: no script names' 'a script nobody names'
spoil tests/kit/lonely.sh 'echo'
echo 'see lonely.sh' >tests/README.md
rejects dead 'tests/kit/lonely.sh:1' 'a script only prose names'

accepts uncalled
spoil base/answer.h 'int base_question(int answer);'
echo 'int base_question(int answer) { return answer; } /* base_question(1) is for tests */' >>base/answer.c
echo 'int main(void) { return base_question(1); }' >tests/unit/test-question.c
rejects uncalled 'base/answer.h:5: nobody calls base_question' 'a function that only a test calls'
echo 'int (*const table[])(int) = {base_question};' >appliance/x.c
report=$(run_check uncalled)
point $? 'uncalled accepts a function in a table'

accepts format
spoil base/answer.c 'int  two_spaces ;'
rejects format 'base/answer.c:8' 'badly formatted C'

accepts shell
spoil tests/kit/kit.t 'if true; then'
rejects shell 'does not parse' 'a script with a syntax error, no .sh in its name'
spoil tests/kit/say.sh 'rm -rf $undefined/*'
rejects shell 'SC2115' 'what shellcheck warns of'

accepts tree
clean_tree
rm snapshot/README.md
echo '/* none */' >snapshot/x.c
rejects tree 'snapshot:1: has no README' 'a room without README'
spoil appliance/x.c 'int x;'
rejects tree 'appliance/x.c:1: no licence' 'a source without licence'
spoil base/x.h "/* $spdx */"
rejects tree 'base/x.h:2: no #pragma once' 'a header without #pragma once'
spoil tests/kit/say.sh "ls /h""ome/alice"
rejects tree 'path of one machine' 'a home path'
spoil base/README.md "TO""DO: explain"
rejects tree 'unfinished' 'a mark of unfinished work'
clean_tree
{ echo "/* $spdx */"; yes 'int x;' | head -n 600; } >base/x.c
rejects tree 'more than 600 lines' 'a file past 600 lines'

accepts invariants
spoil base/README.md '- **B7** Nothing is ever lost.'
rejects invariants 'base/README.md:2: no test cites B7' 'an invariant without a test'
echo 'ok "B6, B7: nothing is lost" true' >>tests/kit/kit.t
report=$(run_check invariants)
point $? 'invariants accepts one that a test cites'

accepts cppcheck
spoil base/x.c 'int f(void) { int a[2]; a[2] = 1; return a[0]; }'
rejects cppcheck 'base/x.c:1' 'a write past an array'

# The front of the checks: a finding must reach the exit code and the TAP.
clean_tree
mkdir -p tests/lint
cp "$lint"/* tests/lint/
export LANDFALL_BUILD=$scratch/tree/build
tests/lint/lint.t >"$scratch/tap" 2>&1
status=$?
[ $status = 0 ] && ! grep -q '^not ok' "$scratch/tap"
point $? 'lint.t accepts the clean tree'
[ $status = 0 ] || sed 's/^/# /' "$scratch/tap"
echo 'int f(void) { return atoi("1"); }' >snapshot/x.c
tests/lint/lint.t >"$scratch/tap" 2>&1
[ $? = 1 ] && grep -q '^not ok 1 - banned' "$scratch/tap"
point $? 'lint.t fails when a check does'

echo "1..$number"
exit $failed
