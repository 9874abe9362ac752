#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make install puts everything where a system looks for it, and what it put there works: landfall
# finds landfall-replicate beside itself, man finds the pages, bash the completions.
. "$(dirname "$0")/../kit/kit.sh"
requires nbdkit make

root=$KIT_TMP/root
# The build is there already; a make of its own must not rebuild it with other flags.
ok "make install" env -u MAKEFLAGS -u MAKELEVEL make -C "$KIT_TOP" BUILD="$KIT_BUILD" DESTDIR="$root" PREFIX=/usr \
    --old-file=all install
is "the files" "$(cd "$root" && find . -type f -printf '%m %P\n' | sort)" "$({
    echo "644 usr/lib/systemd/system/landfalld.service"
    echo "755 usr/bin/landfalld"
    for program in landfall landfall-replicate; do
        echo "755 usr/bin/$program"
        echo "644 usr/share/bash-completion/completions/$program"
    done
    for page in "$KIT_TOP"/doc/*.scd; do
        name=$(basename "$page" .scd)
        echo "644 usr/share/man/man${name##*.}/$name"
    done
} | sort)"

# Nothing of the build tree in the way: what is installed has to find its own.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
landfall=$root/usr/bin/landfall
like "landfall runs" "$("$landfall" --version)" '^landfall [0-9]+\.[0-9]+\.[0-9]+$'
like "landfall-replicate runs" "$("$root/usr/bin/landfall-replicate" --version)" \
    '^landfall-replicate [0-9]+\.[0-9]+\.[0-9]+$'
is "no path of the build tree is in it" "$(strings "$landfall" | grep -cF "$KIT_TOP/" || true)" 0

truncate -s 1M "$KIT_TMP/disk"
start_nbdkit "$KIT_TMP/nbd" -r file "$KIT_TMP/disk"
cycle=(cycle --disk vda="$KIT_URI" --machine m1 --store "$KIT_TMP/store")
ok "a cycle: landfall finds landfall-replicate beside itself" "$landfall" "${cycle[@]}"
mv "$root/usr/bin/landfall-replicate" "$KIT_TMP/landfall-replicate"
run "$landfall" "${cycle[@]}"
is "without it: exit code" "$status" 2
like "without it: what to do" "$output" "hint: install all of Landfall's programs"
ok "or by PATH" env PATH="$KIT_TMP:$PATH" "$landfall" "${cycle[@]}"

if command -v man >/dev/null; then
    for page in "$root"/usr/share/man/man?/*; do
        name=${page##*/}
        ok "man finds ${name%.*}(${name##*.})" man -M "$root/usr/share/man" -w "${name##*.}" "${name%.*}"
    done
else
    skip "man finds the pages" "man is not installed"
fi
if [ -r /usr/share/bash-completion/bash_completion ]; then
    is "bash loads the completion" "$(XDG_DATA_DIRS=$root/usr/share bash --norc -c '
        . /usr/share/bash-completion/bash_completion; _completion_loader landfall
        complete -p landfall')" 'complete -F _landfall landfall'
else
    skip "bash loads the completion" "bash-completion is not installed"
fi
done_testing
