# The page of the administration, in Chromium. `outside.sh` reads this: it has `$program`, `$work` and
# `$repository`.

# With INNKEEPER_TEST_PICTURES=FOLDER, pictures of all states are left there: those of the manual are
# made of them.
chromium-admin() {
    cat >cases.toml <<'CASES'
[[case]]
name = "the front page"
line = "GET / HTTP/1.1"
decision.index = ""

[[case]]
name = "the style"
line = "GET /style.css HTTP/1.1"
decision.file = "style.css"
CASES
    "$program" bake --redirect '/ /notes/ 302!' --output bad.wasm
    "$program" bake --redirect '/notes/* /blog/:splat 301!' --redirect '/wp-login.php /404.html 410!' \
        --header 'always /*: X-Frame-Options: DENY' --output good.wasm
    printf 'a-token-of-this-test' >token
    cp -r "$repository/html" site
    "$program" site --listen 127.0.0.1:0 --admin 127.0.0.1:0 --admin-token-file token \
        --cases cases.toml >admin-access.log 2>admin-errors.log &
    local own=$! url= admin= outcome=0
    for _ in $(seq 100); do
        url=$(sed -n 's/^listening on \(.*\)$/\1/p' admin-errors.log)
        admin=$(sed -n 's/^administration at \(.*\)\/$/\1/p' admin-errors.log)
        [ -z "$url" ] || [ -z "$admin" ] || break
        sleep 0.1
    done
    timeout 180 python3 -B "$repository/host/tests/outside/admin.py" "$admin" "$url" token bad.wasm good.wasm \
        ${INNKEEPER_TEST_PICTURES:+"$INNKEEPER_TEST_PICTURES"} || outcome=$?
    [ "$outcome" = 0 ] || cat admin-errors.log
    kill "$own"
    wait "$own" || true
    return "$outcome"
}
