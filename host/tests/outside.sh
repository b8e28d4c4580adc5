#!/usr/bin/env bash
# Holds the server against clients that we did not write: curl, wget, aria2c, git
# over plain HTTP, pip, apt, zsync, casync, ostree and Chromium, and behind nginx; and over TLS and
# HTTP/2 (outside/tls.sh) many of these again, the administration (outside/admin.sh), nghttp, h2load, httpx, Node, Firefox, and scanners of
# TLS. Those that are not installed are left out, and said to be; with INNKEEPER_TEST_STRICT=1 that
# is a failure, unless INNKEEPER_TEST_LACKS names them. Run it on a built binary, and where there is
# room for a few hundred MiB; with names of checks, for these alone:
#
#     host/tests/outside.sh target/release/innkeeper [CHECK...]
set -euo pipefail

program=$(realpath "${1:?name the program: host/tests/outside.sh target/release/innkeeper}")
shift
only=" $* "
repository=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
server=
cleanup() {
    # shellcheck disable=SC2086
    [ -z "$server" ] || kill $server 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

site="$work/site"
mkdir -p "$site" "$work/got"
head -c 209715200 /dev/urandom >"$site/large.bin"
for _ in $(seq 400); do echo "the same line of text, again and again"; done >"$site/page.txt"
# A date that a tool set is not told (docs/caching.md), that of a file that was written is.
touch -d '2020-01-02 03:04:05Z' "$site/page.txt"
echo written >"$site/written.txt"

python3 -B "$repository/host/tests/outside/site.py" "$site"

# Bash stops for a command that fails, but not for one behind `!` that does not.
fails() {
    if "$@"; then return 1; fi
}

. "$repository/host/tests/outside/tls.sh"
"$program" "$site" --listing --listen 127.0.0.1:0 --http2-prior-knowledge --listen-tls 127.0.0.1:0 \
    --tls-certificate "$tls/chain.pem" --tls-key "$tls/leaf.key" \
    >"$work/access.log" 2>"$work/errors.log" &
server=$!
for _ in $(seq 100); do
    http=$(sed -n 's/^listening on \(http:.*\)$/\1/p' "$work/errors.log")
    https=$(sed -n 's/^listening on \(https:.*\)$/\1/p' "$work/errors.log")
    [ -z "$http" ] || [ -z "$https" ] || break
    sleep 0.1
done
[ -n "$http" ] && [ -n "$https" ] || { cat "$work/errors.log"; exit 1; }
# The name that the certificate has, and that browsers send.
https=${https/127.0.0.1/localhost}
url=$http

failed=0
# Runs a check, given as a function of the same name, in a folder of its own.
check() { # tool, what it shows
    local name=$1 tool=${1%%-*} outcome
    case "$only" in "  " | *" $name "*) ;; *) return ;; esac
    if ! command -v "$tool" >/dev/null; then
        printf '%-22s left out: %s is not installed\n' "$name" "$tool"
        case "${INNKEEPER_TEST_STRICT:-0}, ${INNKEEPER_TEST_LACKS:-} " in
        0,* | *" $tool "*) ;;
        *) failed=1 ;;
        esac
        return
    fi
    rm -rf "$work/got/$name"
    mkdir -p "$work/got/$name"
    # Not as a condition: bash ignores `set -e` inside one, and with it all but the last step.
    set +e
    (set -e && cd "$work/got/$name" && "$name") >"$work/got/$name.log" 2>&1
    outcome=$?
    set -e
    if [ "$outcome" = 0 ]; then
        printf '%-22s %s\n' "$name" "$2"
    else
        printf '%-22s FAILED: %s\n' "$name" "$2"
        sed 's/^/    /' "$work/got/$name.log"
        failed=1
    fi
}

curl-resume() {
    head -c 50000000 "$site/large.bin" >large.bin
    curl -sSf -C - -o large.bin "$url/large.bin" && cmp large.bin "$site/large.bin"
}
curl-ranges() {
    curl -sSf -r 100-199 "$url/large.bin" | cmp - <(head -c 200 "$site/large.bin" | tail -c 100)
    curl -sSf -r -5 "$url/large.bin" | cmp - <(tail -c 5 "$site/large.bin")
    curl -sSf -r 0-1,5-6 "$url/large.bin" -D head -o body
    grep -qi '^content-type: multipart/byteranges' head
}
# Ends a browser once the access log has what its page asks for when it is done.
end-browser-after() { # pattern, seconds at most, process, log of another server
    for _ in $(seq $(($2 * 10))); do
        grep -q "$1" "${4:-$work/access.log}" && break
        kill -0 "$3" 2>/dev/null || break
        sleep 0.1
    done
    kill "$3" 2>/dev/null || true
    wait "$3" || true
}
# Opens a page until the log of a server has this, for 20 s at most.
open-until() { # page, pattern, log
    timeout 30 chromium --headless --no-sandbox --disable-gpu --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --remote-debugging-port=0 --user-data-dir="$PWD/profile" "$1" >chromium.log 2>&1 &
    end-browser-after "$2" 20 "$!" "$3"
    tail -n 20 "$3"
    grep -q "$2" "$3"
}
# Waits until the server tells the date of a file: three seconds after it was written.
wait-for-date() { # name
    for _ in $(seq 100); do
        ! curl -sSfI "$url/$1" | grep -i '^last-modified:' || return 0
        sleep 0.1
    done
    echo "no Last-Modified for $1 within 10 s"
    return 1
}
curl-date() {
    wait-for-date written.txt
    [ "$(curl -sS -z "$site/written.txt" -o body -w '%{http_code}' "$url/written.txt")" = 304 ]
    [ "$(curl -sS -z '1999-01-01' -o body -w '%{http_code}' "$url/written.txt")" = 200 ]
    [ "$(curl -sS -z "$site/page.txt" -o body -w '%{http_code}' "$url/page.txt")" = 200 ]
}
curl-etag() {
    curl -sSf --etag-save tag -o body "$url/page.txt"
    [ "$(curl -sS --etag-compare tag -o again -w '%{http_code}' "$url/page.txt")" = 304 ]
}
curl-compressed() {
    local coding
    for coding in gzip br zstd; do
        curl -sSf -H "Accept-Encoding: $coding" -D head -o body "$url/page.txt"
        grep -qi "^content-encoding: $coding" head
        [ "$(wc -c <body)" -lt 1000 ]
    done
    curl -sSf --compressed "$url/page.txt" | cmp - "$site/page.txt"
}
wget-continue() {
    head -c 50000000 "$site/large.bin" >large.bin
    wget -q -c "$url/large.bin" && cmp large.bin "$site/large.bin"
}
wget-timestamps() {
    wait-for-date written.txt
    wget -q -N "$url/written.txt"
    cmp written.txt "$site/written.txt"
    [ "$(stat -c %Y written.txt)" = "$(stat -c %Y "$site/written.txt")" ]
    wget -S -N "$url/written.txt" >again 2>&1
    cat again
    grep -q '^ *HTTP/1.1 304 ' again
}
aria2c-parallel() {
    aria2c -q -x8 -s8 -k1M "$url/large.bin" && cmp large.bin "$site/large.bin"
}
git-clone() {
    git init -q repo && cd repo
    git config user.email test@example.org && git config user.name Test
    for n in $(seq 20); do echo "$n" >file && git add file && git commit -qm "commit $n"; done
    cd .. && rm -rf "$site/repo.git" && git clone -q --bare repo "$site/repo.git"
    git --git-dir="$site/repo.git" update-server-info
    git clone -q "$url/repo.git" copy && [ "$(git -C copy rev-list --count HEAD)" = 20 ]
}
pip-download() {
    mkdir -p package/hostel "$site/simple/hostel"
    echo 'rooms = 3' >package/hostel/__init__.py
    printf '[build-system]\nrequires = []\nbuild-backend = "x"\n' >package/pyproject.toml
    python3 - "$site/simple/hostel" <<'PYTHON'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/hostel-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("hostel/__init__.py", "rooms = 3\n")
    wheel.writestr("hostel-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hostel\nVersion: 1.0\n")
    wheel.writestr("hostel-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("hostel-1.0.dist-info/RECORD", "")
PYTHON
    echo '<a href="hostel-1.0-py3-none-any.whl">hostel</a>' >"$site/simple/hostel/index.html"
    pip download -q --no-cache-dir --index-url "$url/simple" --no-deps hostel==1.0
    cmp hostel-1.0-py3-none-any.whl "$site/simple/hostel/hostel-1.0-py3-none-any.whl"
}
apt-repository() {
    mkdir -p "$site/debian" package/DEBIAN state/lists/partial cache/archives/partial etc
    printf 'Package: hostel\nVersion: 1.0\nArchitecture: all\nMaintainer: Test <test@example.org>\nDescription: a test\n' >package/DEBIAN/control
    dpkg-deb -b package "$site/debian/hostel.deb"
    (cd "$site/debian" && {
        dpkg-deb -f hostel.deb
        printf 'Filename: ./hostel.deb\nSize: %s\nSHA256: %s\n\n' "$(stat -c %s hostel.deb)" "$(sha256sum hostel.deb | cut -d' ' -f1)"
    } >Packages)
    echo "deb [trusted=yes] $url/debian ./" >etc/sources.list
    local options=(-o Dir::State="$PWD/state" -o Dir::Cache="$PWD/cache" -o Dir::Etc="$PWD/etc"
        -o APT::Sandbox::User=root -o Dir::State::status=/dev/null)
    apt-get "${options[@]}" update
    apt-get "${options[@]}" update # asks again, with conditions
    apt-get "${options[@]}" download hostel && cmp hostel_1.0_all.deb "$site/debian/hostel.deb"
}

zsync-delta() {
    head -c 20000000 "$site/large.bin" >"$site/part.bin"
    zsyncmake -u "$url/part.bin" -o "$site/part.bin.zsync" "$site/part.bin"
    { head -c 7000000 "$site/part.bin"; echo changed; tail -c 12000000 "$site/part.bin"; } >old
    zsync -q -i old -o part.bin "$url/part.bin.zsync" && cmp part.bin "$site/part.bin"
}
casync-extract() {
    mkdir -p tree && head -c 5000000 "$site/large.bin" >tree/file && cp "$site/page.txt" tree
    casync make --store="$site/store.castr" "$site/tree.caidx" tree
    mkdir -p out
    casync extract --without=all --store="$url/store.castr" "$url/tree.caidx" out
    diff -r tree out
}
ostree-pull() {
    mkdir -p tree && head -c 5000000 "$site/large.bin" >tree/file && cp "$site/page.txt" tree
    ostree --repo="$site/ostree" init --mode=archive
    ostree --repo="$site/ostree" commit -b main tree
    ostree --repo="$site/ostree" summary -u
    ostree --repo=repo init --mode=bare-user-only
    ostree --repo=repo remote add --no-gpg-verify origin "$url/ostree"
    ostree --repo=repo pull origin main
    ostree --repo=repo checkout -U origin:main out && diff -r tree out
}
chromium-seek() {
    cat >"$site/seek.html" <<'HTML'
<!doctype html><title>seek</title><link rel="icon" href="data:,">
<audio src="tone.wav" preload="metadata"></audio><script>
const audio = document.querySelector("audio");
audio.onloadedmetadata = () => { audio.currentTime = 100; };
audio.onseeked = () => fetch("/seeked-to-" + audio.currentTime);
audio.onerror = () => fetch("/error?" + encodeURIComponent(audio.error.message));
</script>
HTML
    # The page says how far it got.
    open-until "$url/seek.html" 'GET /seeked-to-100 ' "$work/access.log"
    grep -E 'tone.wav|seek|error' "$work/access.log"
    grep -q 'GET /tone.wav HTTP/1.1" 206' "$work/access.log"
}

chromium-overlay() {
    timeout 200 python3 -B "$repository/host/tests/outside/overlay.py" "$program"
}

chromium-pages() {
    local name
    "$program" "$repository/html" --listen 127.0.0.1:0 --security-headers >site.log 2>site-errors.log &
    local own=$! outcome=0
    # Its rules are compiled first.
    for _ in $(seq 300); do
        name=$(sed -n 's/^listening on \(http:.*\)$/\1/p' site-errors.log)
        [ -z "$name" ] || break
        sleep 0.1
    done
    [ -n "$name" ] || cat site-errors.log
    timeout 120 python3 -B "$repository/host/tests/outside/pages.py" "$url" "$site" "$name" || outcome=$?
    kill "$own"
    wait "$own" || true
    return "$outcome"
}

nginx-prefix() {
    mkdir -p "$site/docs" "$site/files/a b:c"
    echo docs >"$site/docs/index.html"
    echo deep >"$site/files/a b:c/100%.txt"
    local port
    port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    cat >nginx.conf <<CONF
daemon off;
master_process off;
pid $PWD/pid;
error_log $PWD/error.log;
events {}
http {
    access_log off;
    client_body_temp_path $PWD/temp-body;
    proxy_temp_path $PWD/temp-proxy;
    fastcgi_temp_path $PWD/temp-fastcgi;
    uwsgi_temp_path $PWD/temp-uwsgi;
    scgi_temp_path $PWD/temp-scgi;
    server {
        listen 127.0.0.1:$port;
        location /p/ { proxy_pass $url/; }
    }
}
CONF
    nginx -p "$PWD" -c nginx.conf &
    local proxy=$! base="http://127.0.0.1:$port/p" outcome=0
    behind-prefix "$base" || outcome=$?
    kill "$proxy"
    wait "$proxy" || true
    return "$outcome"
}
behind-prefix() { # base
    curl -sS --retry 20 --retry-connrefused --retry-delay 1 -o ready "$1/page.txt" || return
    # A redirect to a directory's slash stays beneath the prefix, with its query.
    [ "$(curl -sSfL --max-redirs 1 -o body -w '%{url_effective}' "$1/docs?a=b")" = "$1/docs/?a=b" ] || return
    [ "$(cat body)" = docs ] || return
    # So do the names that a listing gives, all the way down.
    local at="$1/files" name
    at=$(curl -sSfL --max-redirs 1 -o body -w '%{url_effective}' "$at") || return
    for name in directory file; do
        curl -sSf -H 'Accept: application/json' -o list.json "$at" || return
        at=$at$(python3 -c 'import json; print(json.load(open("list.json"))[0]["url"].removeprefix("./"))')
    done
    [ "$(curl -sSf "$at")" = deep ]
}

check curl-resume "goes on with a download that was cut"
check curl-ranges "one range, a suffix, two ranges"
check curl-date "asks by date (-z)"
check curl-etag "asks by entity tag"
check curl-compressed "gets gzip, br and zstd, and decodes them"
check nginx-prefix "redirects and listings lead on beneath a prefix"
check wget-continue "goes on with a download (-c)"
check wget-timestamps "asks by date (-N), and does not fetch again"
check aria2c-parallel "200 MiB in eight parts at a time, the same bytes"
check git-clone "over dumb HTTP"
check pip-download "from a static simple index"
check apt-repository "reads a flat repository, twice"
check zsync-delta "fetches what changed, by ranges"
check casync-extract "from a static chunk store"
check ostree-pull "from a static repository"
check chromium-seek "seeks in a sound file, by ranges"
check chromium-overlay "what dev shows over a page: builds that fail and pass, a case; closed by a button and by Esc"
check chromium-pages "listings sorted, filtered and in pictures, failures, the default site; no policy violated"

. "$repository/host/tests/outside/admin.sh"
check chromium-admin "the page of the administration: load, a rejected guest, a deployment, a roll back"

echo "with rules:"
. "$repository/host/tests/outside/rules.sh"
serve-rules
check curl-rules "an app, clean URLs, redirects, fields"
check curl-password "asks with a password (-u), right and wrong"
check wget-password "is asked for a password, and sends it"
check chromium-spa "renders an app at a deep link; a missing script is an error"
check chromium-cors "a page of an allowed origin reads data, after a preflight"
check chromium-cors-refused "one of another origin does not"
site=$rules
check git-clone "over dumb HTTP"
check pip-download "from a static simple index"
site="$work/site"

echo "over TLS and HTTP/2:"
url=$https
trust
check curl-http2 "h2 and http/1.1, TLS 1.2 and 1.3, uploads, and what is refused"
check curl-prior-knowledge "HTTP/2 without TLS"
check curl-parallel "36 files over one connection"
check curl-wrong-port "HTTP on the port of TLS, and TLS on that of HTTP"
check curl-resume "goes on with a download that was cut"
check curl-ranges "one range, a suffix, two ranges"
check curl-date "asks by date (-z)"
check curl-etag "asks by entity tag"
check curl-compressed "gets gzip, br and zstd, and decodes them"
check openssl-resumes "sessions of TLS 1.2 and 1.3, without early data"
check wget-continue "goes on with a download (-c)"
check aria2c-https "200 MiB in eight parts at a time, the same bytes"
check git-clone "over dumb HTTP"
check pip-download "from a static simple index"
check nghttp-page "a page with all that it names"
check nghttp-upload "bodies with trailers, and Expect"
check h2load-streams "1, 10 and 100 streams at a time, small and large windows, no failure"
check httpx-http2 "300 responses at a time, conditions, ranges, uploads"
check node-http2 "300 streams at a time, trailers, streams that are given up"
check chromium-h2 "a page with all that it names, again, a sound, downloads that are given up"
check firefox-h2 "a page with all that it names"
check sslyze-intermediate "Mozilla's intermediate configuration"
check sslscan-ciphers "versions, ciphers, nothing vulnerable"
check testssl-findings "no finding above LOW"
exit "$failed"
