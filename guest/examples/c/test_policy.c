/* Tests of the policy, as a native program: request lines and their decisions. It is compiled
 * twice, with and without MAINTENANCE. */
#include "innkeeper.h"

#include <stdio.h>
#include <string.h>

static int passed, failed;

/* A decision in one line of text. */
static const char *shown(struct decision decision) {
    static char text[300];
    switch (decision.kind) {
    case DECISION_INDEX:
    case DECISION_FILE:
        snprintf(text, sizeof text, "%s %.*s", decision.kind == DECISION_INDEX ? "index" : "file",
                 (int)decision.path.length, decision.path.at);
        break;
    case DECISION_SERVE: {
        struct candidate first = decision.serve.candidates.at[0];
        snprintf(text, sizeof text, "serve %u %.*s", first.status, (int)first.page.path.length,
                 first.page.path.at);
        break;
    }
    case DECISION_NOT_FOUND:
        return "not-found";
    case DECISION_REPLY:
        snprintf(text, sizeof text, "reply %u", decision.reply.status);
        break;
    default:
        return "?";
    }
    return text;
}

static void check_from(const char *client, const char *line, const char *expected) {
    struct field field = {TEXT(":client-address"), {client, strlen(client)}};
    const char *got = shown(decide((struct request){{line, strlen(line)}, {&field, 1}}));
    if (strcmp(got, expected) == 0) {
        passed++;
    } else {
        failed++;
        printf("%s: expected %s, got %s\n", line, expected, got);
    }
}

static void check(const char *line, const char *expected) { check_from("192.0.2.1", line, expected); }

int main(void) {
    /* The same in both. */
    check("GET /.git/config HTTP/1.1", "not-found");
    check("GET /a/.well-known/x HTTP/1.1", "not-found");
    check("GET /.well-knownx HTTP/1.1", "not-found");
    check("GET /.well-known/.x HTTP/1.1", "not-found");
    check("GET /.well-known/x HTTP/1.1", "file .well-known/x");
    check("GET /.. HTTP/1.1", "not-found");
    check("GET /a//../../.. HTTP/1.1", "not-found");
    check("GET /%2e%2E/a HTTP/1.1", "not-found");
    check("GET /a%2fb HTTP/1.1", "not-found");
    check("GET /a\\b HTTP/1.1", "not-found");
    check("GET /a%00 HTTP/1.1", "not-found");
    check("GET /%ff HTTP/1.1", "not-found");
    check("GET /%c0%ae HTTP/1.1", "not-found");
    check("GET /%ed%a0%80 HTTP/1.1", "not-found");
    check("GET /%f4%90%80%80 HTTP/1.1", "not-found");
    check("GET /%e4%bd HTTP/1.1", "not-found");
    check("CONNECT [2001:db8::1]:443 HTTP/1.1", "not-found");
    check("CONNECT [::ffff:192.0.2.1]:443 HTTP/1.1", "not-found");
    check("CONNECT [1:2:3:4:5:6:7:8]:443 HTTP/1.1", "not-found");
    check("CONNECT [1:2:3:4:5:6:7::]:443 HTTP/1.1", "not-found");
    check("CONNECT [::]:443 HTTP/1.1", "not-found");
    check("CONNECT [1:2:3:4:5:6:7]:443 HTTP/1.1", "reply 400");
    check("CONNECT [1:2:3:4:5:6:7:8:]:443 HTTP/1.1", "reply 400");
    check("CONNECT [1:2:3:4:5:6:7:8::]:443 HTTP/1.1", "reply 400");
    check("CONNECT [1::2::3]:443 HTTP/1.1", "reply 400");
    check("CONNECT [:::1]:443 HTTP/1.1", "reply 400");
    check("CONNECT [12345::]:443 HTTP/1.1", "reply 400");
    check("CONNECT [::192.0.2.1:1]:443 HTTP/1.1", "reply 400");
    check("CONNECT [::192.0.2.256]:443 HTTP/1.1", "reply 400");
    check("CONNECT [::192.0.02.1]:443 HTTP/1.1", "reply 400");
    check("CONNECT [::192.0.2.]:443 HTTP/1.1", "reply 400");
    check("CONNECT [::192.0.2]:443 HTTP/1.1", "reply 400");
    check("CONNECT []:443 HTTP/1.1", "reply 400");
    check("CONNECT [v1.x]:443 HTTP/1.1", "reply 400");
    check("OPTIONS * HTTP/1.1", "not-found");
    check("", "reply 400");
    check("GET", "reply 400");
    check("GET  / HTTP/1.1", "reply 400");
    check("GET / HTTP/1.1 ", "reply 400");
    check("G=T / HTTP/1.1", "reply 400");
    check("GET /\xe9 HTTP/1.1", "reply 400");
    check("GET /% HTTP/1.1", "reply 400");
    check("GET /../%4 HTTP/1.1", "reply 400");
    check("GET /a#b HTTP/1.1", "reply 400");
    check("Connect h:443 HTTP/1.1", "reply 400");
    check("CONNECT h HTTP/1.1", "reply 400");
    check("CONNECT h: HTTP/1.1", "reply 400");
    check("GET http:// HTTP/1.1", "reply 400");
    check("GET http://a,b/ HTTP/1.1", "reply 400");
    check("GET http://a%2fb/ HTTP/1.1", "reply 400");
    check("GET http://u@h/ HTTP/1.1", "reply 400");
    check("GET http://h:65536/ HTTP/1.1", "reply 400");
    check("GET http://[::1/ HTTP/1.1", "reply 400");
    check("GET ftp://h/ HTTP/1.1", "reply 400");
    check("GET / HTTP/2.0", "reply 505");
#ifdef MAINTENANCE
    check("GET / HTTP/1.1", "serve 503 maintenance.html");
    check("GET /a/b.css HTTP/1.1", "serve 503 maintenance.html");
    check("GET /maintenance HTTP/1.1", "serve 503 maintenance.html");
    check("GET /maintenance/logo.svg HTTP/1.1", "file maintenance/logo.svg");
    check("GET /maintenance/../a HTTP/1.1", "serve 503 maintenance.html");
    check_from("198.51.100.7", "GET / HTTP/1.1", "index ");
    check_from("2001:db8::7", "GET /a HTTP/1.1", "file a");
    check_from("198.51.100.70", "GET / HTTP/1.1", "serve 503 maintenance.html");
    check_from("", "GET / HTTP/1.1", "serve 503 maintenance.html");
#else
    check("GET / HTTP/1.1", "index ");
    check("GET /docs/ HTTP/1.1", "index docs/");
    check("GET /docs HTTP/1.1", "file docs");
    check("GET /a%20b%25?c HTTP/1.1", "file a b%");
    check("GET //a//b// HTTP/1.1", "index a/b/");
    check("GET /a//../b HTTP/1.1", "file a/b");
    check("GET /b/c/../.. HTTP/1.1", "index ");
    check("GET /b/c/g;x=1/../y HTTP/1.1", "file b/c/y");
    check("GET /%252e%252e/x HTTP/1.1", "file %2e%2e/x");
    check("GET /%E4%BD%A0 HTTP/1.1", "file \xe4\xbd\xa0");
    check("GET HTTP://h:80/a?b HTTP/1.1", "file a");
    check("GET http://[::1]?b HTTP/1.1", "index ");
    check("GET http://h:/a HTTP/1.1", "file a");
    check("GET http://[::1]:/a HTTP/1.1", "file a");
    check("get /a HTTP/1.0", "file a");
#endif
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
