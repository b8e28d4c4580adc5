/* The default policy in C, and a maintenance page.
 *
 * Without MAINTENANCE it decides as the default guest does. Compiled with MAINTENANCE, every
 * page is `maintenance.html` with status 503, except for maintainers. A swap of the two guests
 * loses no request. */
#define INNKEEPER_EXPORTS
#include "helpers.h"
#include "request.h"

/* Addresses of maintainers, who see the site all the time, with commas between them. */
#ifndef MAINTAINERS
#define MAINTAINERS ""
#endif

static struct bytes start_of(struct bytes text, size_t length) {
    return (struct bytes){text.at, length < text.length ? length : text.length};
}

/* Whether a name begins with a dot, other than `.well-known` at the root (RFC 8615). */
static bool is_private(struct bytes path) {
    struct bytes open = TEXT(".well-known");
    for (size_t i = 0; i < path.length; i++) {
        if (path.at[i] != '.' || (i > 0 && path.at[i - 1] != '/')) {
            continue;
        }
        bool is_whole = path.length == open.length ||
                        (path.length > open.length && path.at[open.length] == '/');
        if (i > 0 || !is_whole || !is_equal(start_of(path, open.length), open)) {
            return true;
        }
    }
    return false;
}

/* The decision of the default policy. */
static struct decision decide_as_usual(struct bytes line, struct bytes *path) {
    *path = TEXT("");
    switch (request_about(line, path)) {
    case ABOUT_MALFORMED:
        return text_reply(400, TEXT("malformed request line\n"));
    case ABOUT_VERSION:
        return text_reply(505, TEXT("HTTP version not supported\n"));
    case ABOUT_NOTHING:
        return not_found();
    case ABOUT_PATH:
        break;
    }
    if (is_private(*path)) {
        return not_found();
    }
    return page(*path);
}

#ifdef MAINTENANCE

/* The files of the maintenance page, and those that prove who owns the site. */
static bool is_open_anyway(struct bytes path) {
    struct bytes parts = TEXT("maintenance/");
    struct bytes proofs = TEXT(".well-known/");
    return is_equal(start_of(path, parts.length), parts) || is_equal(start_of(path, proofs.length), proofs);
}

static bool is_maintainer(struct fields fields) {
    struct bytes all = TEXT(MAINTAINERS);
    for (size_t i = 0; i < fields.count; i++) {
        if (!is_equal(fields.at[i].name, TEXT(":client-address"))) {
            continue;
        }
        for (size_t start = 0, end = 0; end <= all.length; end++) {
            if (end == all.length || all.at[end] == ',') {
                if (is_equal(fields.at[i].value, (struct bytes){all.at + start, end - start})) {
                    return true;
                }
                start = end + 1;
            }
        }
    }
    return false;
}

struct names interests(void) {
    static const struct bytes names[] = {STATIC_TEXT(":client-address")};
    /* With the address among its interests, each address takes an entry of the decision cache.
     * So read it only if there are maintainers. */
    return (struct names){names, sizeof MAINTAINERS > 1};
}

struct decision decide(struct request request) {
    static const struct candidate closed[] = {
        {.page = {PAGE_FILE, STATIC_TEXT("maintenance.html")}, .status = 503},
    };
    /* Of every response, also of the one to a POST. */
    static const struct field fields[] = {
        {STATIC_TEXT("retry-after"), STATIC_TEXT("600")},
        {STATIC_TEXT("cache-control"), STATIC_TEXT("no-store")},
    };
    struct bytes path;
    struct decision usual = decide_as_usual(request.line, &path);
    bool is_page = usual.kind == DECISION_INDEX || usual.kind == DECISION_FILE;
    if (!is_page || is_open_anyway(path) || is_maintainer(request.fields)) {
        return usual;
    }
    return (struct decision){
        .kind = DECISION_SERVE,
        .serve = {.candidates = {closed, 1}, .fields = {fields, 2}},
    };
}

#else

struct names interests(void) { return (struct names){NULL, 0}; }

struct decision decide(struct request request) {
    struct bytes path;
    return decide_as_usual(request.line, &path);
}

#endif
