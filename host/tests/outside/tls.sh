# Clients that we did not write, over TLS and HTTP/2. `outside.sh` reads this: it has `$program`,
# `$work`, `$site`, `$repository`, `$http` and `$https`, and runs the functions with `$url` being
# the latter. What is made here is a certificate, and for each client what tells it whom to trust.

tls="$work/tls"
mkdir -p "$tls"
# As an authority would issue it: 90 days, and the fields that scanners look for.
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 \
        -keyout "$tls/ca.key" -out "$tls/ca.pem" -subj "/CN=innkeeper tests" \
        -addext keyUsage=critical,keyCertSign,cRLSign
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -keyout "$tls/leaf.key" -out "$tls/leaf.csr" -subj "/CN=localhost"
    cat >"$tls/leaf.cnf" <<'CONF'
subjectAltName=DNS:localhost,IP:127.0.0.1
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
crlDistributionPoints=URI:http://localhost/none.crl
CONF
    openssl x509 -req -in "$tls/leaf.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" \
        -CAcreateserial -days 90 -out "$tls/leaf.pem" -extfile "$tls/leaf.cnf"
} 2>"$tls/openssl.log" || { cat "$tls/openssl.log"; exit 1; }
cat "$tls/leaf.pem" "$tls/ca.pem" >"$tls/chain.pem"

# Whom clients trust, in the words of each.
mkdir -p "$tls/home"
echo "cacert = $tls/ca.pem" >"$tls/home/.curlrc"
echo "ca_certificate = $tls/ca.pem" >"$tls/wgetrc"
trust() {
    export CURL_HOME="$tls/home" WGETRC="$tls/wgetrc" GIT_SSL_CAINFO="$tls/ca.pem"
    export REQUESTS_CA_BUNDLE="$tls/ca.pem" SSL_CERT_FILE="$tls/ca.pem" NODE_EXTRA_CA_CERTS="$tls/ca.pem"
}
spki() { # certificate
    openssl x509 -in "$1" -pubkey -noout | openssl pkey -pubin -outform der |
        openssl dgst -sha256 -binary | base64
}

curl-http2() {
    local version
    version() { curl -sS -o body -w '%{http_version} %{http_code}' "$@"; }
    [ "$(version "$url/page.txt")" = "2 200" ]
    cmp body "$site/page.txt"
    [ "$(version --http1.1 "$url/page.txt")" = "1.1 200" ]
    cmp body "$site/page.txt"
    for version in --tlsv1.2\ --tls-max\ 1.2 --tlsv1.3; do
        # shellcheck disable=SC2086
        [ "$(version $version "$url/page.txt")" = "2 200" ]
    done
    [ "$(version -I "$url/page.txt")" = "2 200" ]
    [ "$(version --path-as-is "$url/../outside.txt")" = "2 404" ]
    [ "$(version -X DELETE "$url/page.txt")" = "2 405" ]
    # Bodies that are too large, and that are not: sent at once, or when 100 does not come.
    head -c 3000000 /dev/zero >large
    head -c 900000 /dev/zero >small
    for version in 'Expect: 100-continue' 'Expect:'; do
        [ "$(version -H "$version" -T large "$url/page.txt")" = "2 413" ]
        [ "$(version -H "$version" -T small "$url/page.txt")" = "2 405" ]
    done
    fails curl -sSf --tls-max 1.1 "$url/page.txt"
    fails env CURL_HOME=/nonexistent curl -sSf "$url/page.txt"
}
curl-prior-knowledge() {
    local plain=$http
    [ "$(curl -sS --http2-prior-knowledge -o body -w '%{http_version} %{http_code}' "$plain/page.txt")" = "2 200" ]
    cmp body "$site/page.txt"
    # Asks for `h2c` by Upgrade, which is gone, and goes on with HTTP/1.1.
    [ "$(curl -sS --http2 -o body -w '%{http_version} %{http_code}' "$plain/page.txt")" = "1.1 200" ]
    curl -sSf --http2-prior-knowledge -o large.bin "$plain/large.bin" && cmp large.bin "$site/large.bin"
}
curl-parallel() {
    local number arguments=()
    for number in $(seq 0 35); do
        number=$(printf %02d "$number")
        arguments+=(-o "$number.png" "$url/pictures/$number.png")
    done
    curl -sSf -Z --parallel-max 36 -v "${arguments[@]}" 2>log
    for number in *.png; do cmp "$number" "$site/pictures/$number"; done
    [ "$(grep -c '\* Connected to' log)" = 1 ]
}
curl-wrong-port() {
    # Cleartext where TLS is spoken, and TLS where it is not: both are told so.
    [ "$(curl -sS -o body -w '%{http_code}' "http://${url#https://}/page.txt")" = 400 ]
    cat body
    grep -qi tls body
    fails curl -sSf "https://${http#http://}/page.txt"
}
nghttp-page() {
    # With what the page names, each as a stream of its own.
    nghttp -nas "$url/page.html" >log 2>&1 || { cat log; return 1; }
    cat log
    # id, responseEnd, requestStart, process, code, size, path
    [ "$(grep -cE ' 200 +[0-9]+K? /' log)" -ge 38 ]
    fails grep -E ' (4|5)[0-9][0-9] +[0-9]+K? /' log
}
nghttp-upload() {
    head -c 200000 /dev/zero >upload
    nghttp -v -d upload --trailer 'x-sum: 1' "$url/page.txt" >log 2>&1
    grep -q ':status: 405' log
    nghttp -v --no-content-length -d upload --trailer 'x-sum: 1' "$http/page.txt" >log 2>&1
    grep -q ':status: 405' log
    nghttp -v --expect-continue -d upload "$url/page.txt" >log 2>&1
    grep -q ':status: 405' log
}
h2load-streams() {
    local streams
    for streams in 1 10 100; do
        h2load -n 20000 -c 20 -m "$streams" "$url/page.txt" "$url/pictures/01.png" >log
        tail -n 12 log
        grep -q '20000 succeeded, 0 failed, 0 errored, 0 timeout' log
        grep -q '20000 2xx, 0 3xx, 0 4xx, 0 5xx' log
    done
    h2load --h1 -n 20000 -c 20 "$url/page.txt" >log
    grep -q '20000 succeeded, 0 failed, 0 errored, 0 timeout' log
    h2load -n 20 -c 4 -m 5 "$url/large.bin" >log
    grep -q '20 2xx, 0 3xx, 0 4xx, 0 5xx' log
    # With a window that holds less than a frame, and one that holds all.
    h2load -n 200 -c 4 -m 20 -w 12 -W 13 "$url/pictures/01.png" >log
    grep -q '200 2xx, 0 3xx, 0 4xx, 0 5xx' log
    h2load -n 200 -c 4 -m 20 -w 30 -W 30 "$url/pictures/01.png" >log
    grep -q '200 2xx, 0 3xx, 0 4xx, 0 5xx' log
}
aria2c-https() {
    aria2c -q --ca-certificate="$tls/ca.pem" -x8 -s8 -k1M "$url/large.bin" &&
        cmp large.bin "$site/large.bin"
}
# The Python that has the module of a command.
python-of() { sed -n '1s/^#!//p' "$(command -v "$1")"; }
httpx-http2() {
    "$(python-of httpx)" "$repository/host/tests/outside/httpx_client.py" "$url" "$tls/ca.pem" "$site"
}
node-http2() {
    node "$repository/host/tests/outside/node_client.mjs" "$url" "$tls/ca.pem" "$site"
}
openssl-resumes() {
    local version log=session.log
    for version in tls1_2 tls1_3; do
        # The tickets of TLS 1.3 come behind the handshake.
        printf 'GET /page.txt HTTP/1.0\r\n\r\n' |
            openssl s_client -"$version" -quiet -CAfile "$tls/ca.pem" -verify_return_error \
                -connect "${url#https://}" -sess_out "$version.pem" >first 2>"$log"
        # On another connection, which may be another worker's.
        printf 'GET /page.txt HTTP/1.0\r\n\r\n' |
            openssl s_client -"$version" -ign_eof -CAfile "$tls/ca.pem" -verify_return_error \
                -connect "${url#https://}" -sess_in "$version.pem" >second 2>"$log"
        grep -a '^Reused, TLS' second
        grep -qa 'the same line of text' second
    done
    # Early data is off.
    fails grep -a 'Early data was accepted' second
    grep -qa 'Max Early Data: 0' <(openssl sess_id -in tls1_3.pem -noout -text) ||
        ! openssl sess_id -in tls1_3.pem -noout -text | grep -a 'Max Early Data: [1-9]'
}
sslyze-intermediate() {
    sslyze --mozilla_config=intermediate --certinfo_ca_file="$tls/ca.pem" "${url#https://}"
}
sslscan-ciphers() {
    sslscan --no-colour --show-certificate "${url#https://}" >log
    cat log
    [ "$(grep -cE '^(SSLv2|SSLv3|TLSv1\.0|TLSv1\.1) +disabled' log)" = 4 ]
    [ "$(grep -cE '^TLSv1\.[23] +enabled' log)" = 2 ]
    # No line says that something is vulnerable, but those that say it is not.
    grep -i vulnerable log | grep -vi 'not vulnerable' >vulnerable || true
    fails test -s vulnerable
    grep -q 'TLS Fallback SCSV' log
    fails grep -E '^(Accepted|Preferred).*(RC4|DES|CBC|NULL|EXPORT|MD5|anon)' log
}
testssl-findings() {
    local scan=(testssl --quiet --color 0 --warnings off --add-ca "$tls/ca.pem") number
    "${scan[@]}" --jsonfile findings-0.json "${url#https://}" >log 2>&1 || true
    # A WARN is what it could not check. On a busy machine its s_client, which sends nothing, ends
    # before the tickets of TLS 1.3 come: "check failed because of connect problem". It does so
    # with openssl s_server too, in 37 of 60 trials. openssl-resumes above waits for tickets.
    for number in 1 2 3; do
        grep -q '"WARN"' "findings-$((number - 1)).json" || break
        echo "it could not check all: once more"
        "${scan[@]}" --server-defaults --jsonfile "findings-$number.json" "${url#https://}" >>log 2>&1 || true
    done
    python3 - findings-*.json <<'PYTHON'
import json, sys
findings = {}
for name in sys.argv[1:]:
    for it in json.load(open(name)):
        key = it["id"], it.get("finding") if it["severity"] != "WARN" else None
        # What is checked now is not unchecked any more.
        findings.pop((it["id"], None), None)
        findings[key] = it
assert len(findings) > 100, f"only {len(findings)} findings: it ended early"
findings = [it for it in findings.values() if it["severity"] not in ("OK", "INFO", "DEBUG")]
for it in findings:
    print(it["severity"], it["id"], it["finding"])
# BREACH needs a secret in a compressed response that also has what the attacker sent: there is
# none in the listing that is compressed here, as it is in every file.
allowed = {"BREACH"}
above = [it["id"] for it in findings if it["severity"] != "LOW" and it["id"] not in allowed]
sys.exit(f"above LOW: {above}" if above else 0)
PYTHON
}
chromium-h2() {
    timeout 120 python3 "$repository/host/tests/outside/chromium.py" "$url" \
        "$(spki "$tls/leaf.pem")" "${INNKEEPER_SCREENSHOT:-$PWD/screenshot.png}"
}
firefox-h2() {
    local profile=$PWD/profile port=${url##*:} fingerprint
    mkdir -p "$profile"
    fingerprint=$(openssl x509 -in "$tls/leaf.pem" -noout -fingerprint -sha256 | cut -d= -f2)
    printf 'localhost:%s:\tOID.2.16.840.1.101.3.4.2.1\t%s\t\n' "$port" "$fingerprint" >"$profile/cert_override.txt"
    echo 'user_pref("browser.shell.checkDefaultBrowser", false);' >"$profile/user.js"
    # The page says that all of it is there.
    HOME=$PWD timeout 60 firefox --headless --no-remote --profile "$profile" "$url/page.html?done" \
        >firefox.log 2>&1 &
    end-browser-after 'GET /page-is-done HTTP/2.0' 30 "$!"
    grep Firefox "$work/access.log" | head -n 60
    grep Firefox "$work/access.log" | grep -q 'GET /page-is-done HTTP/2.0'
    [ "$(grep Firefox "$work/access.log" | grep -c 'GET /pictures/[0-9]*.png HTTP/2.0" 200')" -ge 36 ]
    grep Firefox "$work/access.log" | grep -v 'HTTP/2.0"' >others || true
    fails test -s others
}
