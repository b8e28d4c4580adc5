# Clients that we did not write, where rules serve. `outside.sh` reads this: it has `$program`,
# `$work` and `$repository`, and runs the functions with `$url` being the server of
# `serve-rules`; `$http` is another origin, which may read its responses.

# Starts a server with rules beside the one without.
serve-rules() {
    rules="$work/rules"
    mkdir -p "$rules/assets" "$rules/private"
    cp "$site/page.txt" "$rules/page.txt"
    echo secret >"$rules/private/file.txt"
    echo '/moved/* /private/:splat 302' >"$rules/_redirects"
    printf '/assets/*\n  X-Asset: yes\n' >"$rules/_headers"
    echo about >"$rules/about.html"
    echo '{"rooms": 3}' >"$rules/data.json"
    # An app that routes in the browser, and tells where it is.
    cat >"$rules/index.html" <<'HTML'
<!doctype html><title>app</title><link rel="icon" href="data:,">
<div id="app"></div><script src="/assets/app.js"></script>
HTML
    cat >"$rules/assets/app.js" <<'SCRIPT'
document.querySelector("#app").textContent = "at " + location.pathname;
const old = document.createElement("script");
old.src = "/assets/app-of-yesterday.js";
old.onerror = () => fetch("/assets/routed.js?" + document.querySelector("#app").textContent.slice(3));
document.body.append(old);
SCRIPT
    "$program" password alice <<<'a long password' >"$work/passwords"
    "$program" "$rules" --listen 127.0.0.1:0 --spa --clean-urls=either --security-headers \
        --cors "http://127.0.0.1:${http##*:}" --basic-auth "/private/*=$work/passwords" \
        >"$work/rules.log" 2>"$work/rules-errors.log" &
    server="$server $!"
    for _ in $(seq 100); do
        url=$(sed -n 's/^listening on \(http:.*\)$/\1/p' "$work/rules-errors.log")
        [ -z "$url" ] || break
        sleep 0.1
    done
    [ -n "$url" ] || { cat "$work/rules-errors.log"; exit 1; }
}

curl-rules() {
    local got
    got() { curl -sS -o body -w '%{http_code} %{redirect_url}' "$@"; }
    [ "$(got "$url/users/7")" = "200 " ]
    cmp body "$rules/index.html"
    [ "$(got "$url/assets/none.js")" = "404 " ]
    [ "$(got "$url/about")" = "200 " ]
    cmp body "$rules/about.html"
    [ "$(got "$url/about.html")" = "200 " ]
    [ "$(got "$url/moved/file.txt")" = "302 $url/private/file.txt" ]
    [ "$(got "$url/_redirects")" = "404 " ]
    curl -sSfI "$url/assets/app.js" | grep -qi '^x-asset: yes'
    curl -sSfI "$url/" | grep -qi '^x-frame-options: '
    curl -sSfI "$url/" >head
    fails grep -qi '^x-asset' head
}
curl-password() {
    local code="-sS -o body -w %{http_code}"
    # shellcheck disable=SC2086
    [ "$(curl $code "$url/private/file.txt")" = 401 ]
    # shellcheck disable=SC2086
    [ "$(curl $code -u alice:wrong "$url/private/file.txt")" = 401 ]
    # shellcheck disable=SC2086
    [ "$(curl $code -u 'bob:a long password' "$url/private/file.txt")" = 401 ]
    # shellcheck disable=SC2086
    [ "$(curl $code -u 'alice:a long password' "$url/private/file.txt")" = 200 ]
    cmp body "$rules/private/file.txt"
    # By a redirect of the same origin the password goes along.
    curl -sSfL -u 'alice:a long password' "$url/moved/file.txt" | cmp - "$rules/private/file.txt"
    curl -sSf -o body "$url/page.txt"
}
wget-password() {
    # It asks without a password first, and sends one when it is asked for it.
    wget -q --user alice --password 'a long password' "$url/private/file.txt"
    cmp file.txt "$rules/private/file.txt"
    fails wget -q -O again --user alice --password wrong "$url/private/file.txt"
}
chromium-spa() {
    # The app is there at a deep link, and a script that is gone is an error and not a page.
    open-until "$url/users/7" 'GET /assets/routed.js?/users/7 ' "$work/rules.log"
    grep -q 'GET /users/7 HTTP/1.1" 200' "$work/rules.log"
    grep -q 'GET /assets/app-of-yesterday.js HTTP/1.1" 404' "$work/rules.log"
}
# A page of one origin that reads data of the server with rules, with a field that needs a
# preflight, and tells its own origin what came.
cors-page() {
    cat >"$site/cors.html" <<HTML
<!doctype html><title>cors</title><link rel="icon" href="data:,"><script>
fetch("$url/data.json", { headers: { "X-Asked-By": "a page" } })
    .then(response => response.json())
    .then(data => fetch("/cors?rooms=" + data.rooms), () => fetch("/cors?refused"));
</script>
HTML
}
chromium-cors() {
    cors-page
    open-until "$http/cors.html" 'GET /cors?' "$work/access.log"
    grep -q 'OPTIONS /data.json HTTP/1.1" 204' "$work/rules.log"
    grep -q 'GET /data.json HTTP/1.1" 200' "$work/rules.log"
    grep -q 'GET /cors?rooms=3 ' "$work/access.log"
}
chromium-cors-refused() {
    # The same server by another name is another origin.
    cors-page
    open-until "${http/127.0.0.1/localhost}/cors.html" 'GET /cors?refused ' "$work/access.log"
}
