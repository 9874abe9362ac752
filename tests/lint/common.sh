# SPDX-License-Identifier: Apache-2.0
# Shared by the checks of this folder. Each check runs in the root of the tree it judges, prints
# "FILE:LINE: what is wrong: what to do" for each finding and fails if there was one.

# Files of the tree, one a line: what git tracks or would add; without git, everything not built.
tree_files() {
    if [ -e .git ]; then
        git ls-files -co --exclude-standard
    else
        find . -name build -prune -o -name node_modules -prune -o -type f -printf '%P\n'
    fi | while IFS= read -r file; do
        # A file deleted and not yet committed is still in git's list.
        [ -f "$file" ] && printf '%s\n' "$file"
    done | LC_ALL=C sort
}

c_files() {
    tree_files | grep -E '\.[ch]$'
}

# Bash scripts, whatever their name.
shell_files() {
    local file first
    tree_files | while IFS= read -r file; do
        case $file in
        *.sh) printf '%s\n' "$file" ;;
        *)
            IFS= read -r -n 64 first <"$file" # no newline that soon is no failure
            [[ ! $first =~ ^#!.*[^[:alnum:]_](ba)?sh($|[^[:alnum:]_]) ]] || printf '%s\n' "$file"
            ;;
        esac
    done
}

findings=0
finding() {
    printf '%s\n' "$*"
    findings=$((findings + 1))
}

# Fails if anything was found; the last command of a check.
verdict() {
    [ "$findings" -eq 0 ]
}
