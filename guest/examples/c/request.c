#include "request.h"

#include <stdbool.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

static bool is_alphanumeric(char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z'); }

static bool is_among(char c, const char *set) {
    while (*set != '\0' && *set != c) {
        set++;
    }
    return *set != '\0';
}

static int hex(char c) {
    return is_digit(c) ? c - '0' : lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

static bool is(struct bytes bytes, const char *text) {
    for (size_t i = 0; i < bytes.length; i++, text++) {
        if (*text == '\0' || bytes.at[i] != *text) {
            return false;
        }
    }
    return *text == '\0';
}

static bool starts_with(struct bytes bytes, const char *text) {
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (i == bytes.length || bytes.at[i] != text[i]) {
            return false;
        }
    }
    return true;
}

/* Whether this is `http` or `https`, in any letter case. */
static bool is_scheme(struct bytes scheme) {
    const char *https = "https";
    for (size_t i = 0; i < scheme.length; i++) {
        if (i == 5 || lower(scheme.at[i]) != https[i]) {
            return false;
        }
    }
    return scheme.length >= 4;
}

static struct bytes first(struct bytes bytes, size_t count) {
    return (struct bytes){bytes.at, count < bytes.length ? count : bytes.length};
}

static struct bytes after(struct bytes bytes, size_t count) {
    count = count < bytes.length ? count : bytes.length;
    return (struct bytes){bytes.at + count, bytes.length - count};
}

/* The index of the first byte of a set, or the length. */
static size_t find(struct bytes bytes, const char *set) {
    size_t i = 0;
    while (i < bytes.length && !is_among(bytes.at[i], set)) {
        i++;
    }
    return i;
}

/* Four numbers of eight bits, without zeroes before them. */
static bool is_ipv4(struct bytes address) {
    for (size_t octets = 1;; octets++) {
        struct bytes octet = first(address, find(address, "."));
        unsigned number = 0;
        for (size_t i = 0; i < octet.length; i++) {
            if (!is_digit(octet.at[i]) || (i > 0 && number == 0)) {
                return false;
            }
            number = number * 10 + (unsigned)hex(octet.at[i]);
            if (number > UINT8_MAX) {
                return false;
            }
        }
        if (octet.length == 0 || octet.length == address.length) {
            return octet.length > 0 && octets == 4;
        }
        address = after(address, octet.length + 1);
    }
}

/* Whether these are eight groups, of which one run may be left out and the last two may be an IPv4
 * address (RFC 3986, section 3.2.2). Zones, and addresses of future versions, are refused. */
static bool is_ipv6(struct bytes address) {
    bool is_elided = starts_with(address, "::");
    struct bytes rest = after(address, is_elided ? 2 : 0);
    unsigned groups = 0;
    while (rest.length > 0) {
        struct bytes group = first(rest, find(rest, ":"));
        bool is_last = group.length == rest.length;
        bool is_hex = group.length >= 1 && group.length <= 4;
        for (size_t i = 0; i < group.length; i++) {
            is_hex = is_hex && hex(group.at[i]) >= 0;
        }
        if (!is_hex && !(is_last && is_ipv4(group))) {
            return false;
        }
        groups += is_hex ? 1 : 2;
        rest = after(rest, group.length);
        if (!is_elided && starts_with(rest, "::")) {
            is_elided = true;
            rest = after(rest, 2);
        } else if (!is_last) {
            rest = after(rest, 1);
            if (rest.length == 0) {
                return false;
            }
        }
    }
    return is_elided ? groups < 8 : groups == 8;
}

/* Whether this is `host` or `host:port`, and which. An empty port is none (RFC 3986, section 3.2.3).
 * User information is refused: it is used to deceive (RFC 9110, section 4.2.4). So are two bytes that
 * no name in DNS has: the comma would make a list of two hosts, and an escape can hide any byte. */
enum authority { AUTHORITY_NONE, AUTHORITY_HOST, AUTHORITY_HOST_AND_PORT };

static enum authority authority(struct bytes text) {
    size_t end;
    if (text.length > 0 && text.at[0] == '[') {
        end = find(text, "]") + 1;
        if (end > text.length || !is_ipv6(first(after(text, 1), end - 2))) {
            return AUTHORITY_NONE;
        }
    } else {
        end = find(text, ":");
        for (size_t i = 0; i < end; i++) {
            if (!is_alphanumeric(text.at[i]) && !is_among(text.at[i], "-._~!$&'()*+;=")) {
                return AUTHORITY_NONE;
            }
        }
        if (end == 0) {
            return AUTHORITY_NONE;
        }
    }
    if (end == text.length) {
        return AUTHORITY_HOST;
    }
    struct bytes digits = after(text, end + 1);
    unsigned port = 0;
    if (text.at[end] != ':') {
        return AUTHORITY_NONE;
    }
    for (size_t i = 0; i < digits.length; i++) {
        if (!is_digit(digits.at[i])) {
            return AUTHORITY_NONE;
        }
        port = port * 10 + (unsigned)hex(digits.at[i]);
        if (port > UINT16_MAX) {
            return AUTHORITY_NONE;
        }
    }
    return digits.length == 0 ? AUTHORITY_HOST : AUTHORITY_HOST_AND_PORT;
}

static bool is_utf_8(struct bytes text) {
    size_t i = 0;
    while (i < text.length) {
        unsigned char lead = (unsigned char)text.at[i++];
        int more = lead < 0x80   ? 0
                   : lead < 0xc2 ? -1
                   : lead < 0xe0 ? 1
                   : lead < 0xf0 ? 2
                   : lead < 0xf5 ? 3
                                 : -1;
        if (more < 0 || text.length - i < (size_t)more) {
            return false;
        }
        for (int n = 0; n < more; n++, i++) {
            unsigned char next = (unsigned char)text.at[i];
            /* No longer form than needed, no surrogates, nothing beyond U+10FFFF. */
            unsigned char least = n == 0 && lead == 0xe0 ? 0xa0 : n == 0 && lead == 0xf0 ? 0x90 : 0x80;
            unsigned char most = n == 0 && lead == 0xed ? 0x9f : n == 0 && lead == 0xf4 ? 0x8f : 0xbf;
            if (next < least || next > most) {
                return false;
            }
        }
    }
    return true;
}

/* Decodes each name of a path once, and then resolves dots (RFC 3986, section 5.2.4). A path
 * above the root names nothing. */
static enum about resolve(struct bytes path, struct bytes *resolved) {
    /* Each name with a `/` after it. That is never longer than the path. */
    char *names = keep(path.length);
    size_t end = 0;
    bool is_nothing = false;
    bool is_directory = true;
    struct bytes rest = after(path, 1);
    for (;;) {
        struct bytes segment = first(rest, find(rest, "/"));
        size_t start = end;
        for (size_t i = 0; i < segment.length; i++) {
            char c = segment.at[i];
            if (c == '%') {
                int high = i + 2 < segment.length ? hex(segment.at[i + 1]) : -1;
                int low = high >= 0 ? hex(segment.at[i + 2]) : -1;
                if (low < 0) {
                    return ABOUT_MALFORMED;
                }
                c = (char)(high << 4 | low);
                i += 2;
            }
            /* An escaped separator, or a control character: no file of a site. */
            is_nothing |= c == '/' || c == '\\' || (unsigned char)c < ' ' || c == 0x7f;
            names[end++] = c;
        }
        struct bytes name = {names + start, end - start};
        bool is_up = is(name, "..");
        is_directory = is_up || is(name, ".") || is(name, "");
        if (is_up) {
            is_nothing |= start == 0;
            end = start > 0 ? start - 1 : 0;
            while (end > 0 && names[end - 1] != '/') {
                end--;
            }
        } else if (is(name, ".")) {
            end = start;
        } else {
            names[end++] = '/';
        }
        if (segment.length == rest.length) {
            break;
        }
        rest = after(rest, segment.length + 1);
    }
    /* Empty names count until here, as they do in a browser. */
    size_t kept = 0;
    for (size_t i = 0; i < end; i++) {
        if (names[i] != '/' || (kept > 0 && names[kept - 1] != '/')) {
            names[kept++] = names[i];
        }
    }
    *resolved = (struct bytes){names, is_directory || kept == 0 ? kept : kept - 1};
    return is_nothing || !is_utf_8(*resolved) ? ABOUT_NOTHING : ABOUT_PATH;
}

/* A target in one of its four forms (RFC 9112, section 3.2). */
static enum about target_about(struct bytes method, struct bytes target, struct bytes *path) {
    if (find(target, "#") < target.length) {
        return ABOUT_MALFORMED;
    }
    if (is(method, "CONNECT")) {
        return authority(target) == AUTHORITY_HOST_AND_PORT ? ABOUT_NOTHING : ABOUT_MALFORMED;
    }
    if (is(method, "OPTIONS") && is(target, "*")) {
        return ABOUT_NOTHING;
    }
    if (target.length == 0 || target.at[0] != '/') {
        struct bytes scheme = first(target, find(target, ":"));
        struct bytes rest = after(target, scheme.length);
        if (!is_scheme(scheme) || !starts_with(rest, "://")) {
            return ABOUT_MALFORMED;
        }
        rest = after(rest, 3);
        struct bytes host = first(rest, find(rest, "/?"));
        if (authority(host) == AUTHORITY_NONE) {
            return ABOUT_MALFORMED;
        }
        target = after(rest, host.length);
    }
    struct bytes escaped = first(target, find(target, "?"));
    return resolve(escaped.length == 0 ? TEXT("/") : escaped, path);
}

enum about request_about(struct bytes line, struct bytes *path) {
    for (size_t i = 0; i < line.length; i++) {
        if (line.at[i] < ' ' || line.at[i] > '~') {
            return ABOUT_MALFORMED;
        }
    }
    struct bytes method = first(line, find(line, " "));
    struct bytes rest = after(line, method.length + 1);
    struct bytes target = first(rest, find(rest, " "));
    struct bytes version = after(rest, target.length + 1);
    if (method.length == 0 || target.length == 0) {
        return ABOUT_MALFORMED;
    }
    for (size_t i = 0; i < method.length; i++) {
        if (!is_alphanumeric(method.at[i]) && !is_among(method.at[i], "!#$%&'*+-.^_`|~")) {
            return ABOUT_MALFORMED;
        }
    }
    if (version.length != 8 || !starts_with(version, "HTTP/") || !is_digit(version.at[5]) ||
        version.at[6] != '.' || !is_digit(version.at[7])) {
        return ABOUT_MALFORMED;
    }
    return version.at[5] == '1' ? target_about(method, target, path) : ABOUT_VERSION;
}
