/* The query, fields, cookies and passwords of a request, and decisions in few words. */
#include "helpers.h"

bool is_equal(struct bytes one, struct bytes other) {
    return one.length == other.length && is_same_secret(one, other);
}

bool is_same_secret(struct bytes one, struct bytes other) {
    unsigned char difference = one.length != other.length;
    for (size_t i = 0; i < one.length && i < other.length; i++) {
        difference |= (unsigned char)(one.at[i] ^ other.at[i]);
    }
    return difference == 0;
}

/* Where this character is first, or the length. */
static size_t find(struct bytes text, char character) {
    size_t at = 0;
    while (at < text.length && text.at[at] != character) {
        at++;
    }
    return at;
}

static struct bytes before(struct bytes text, size_t at) { return (struct bytes){text.at, at}; }

/* What is behind the character at this place. */
static struct bytes behind(struct bytes text, size_t at) {
    return at < text.length ? (struct bytes){text.at + at + 1, text.length - at - 1} : TEXT("");
}

static struct bytes trimmed(struct bytes text) {
    while (text.length > 0 && text.at[0] == ' ') {
        text = behind(text, 0);
    }
    while (text.length > 0 && text.at[text.length - 1] == ' ') {
        text.length--;
    }
    return text;
}

struct bytes query_of(struct bytes line) {
    struct bytes target = behind(line, find(line, ' '));
    target = before(target, find(target, ' '));
    return behind(target, find(target, '?'));
}

static int hex(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* A text of a form, decoded. A broken escape stays as it is. */
static struct bytes decoded(struct bytes text) {
    char *out = keep(text.length);
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        bool is_escape = text.at[i] == '%' && i + 2 < text.length && hex(text.at[i + 1]) >= 0 && hex(text.at[i + 2]) >= 0;
        if (is_escape) {
            out[length++] = (char)(hex(text.at[i + 1]) << 4 | hex(text.at[i + 2]));
            i += 2;
        } else {
            out[length++] = text.at[i] == '+' ? ' ' : text.at[i];
        }
    }
    return (struct bytes){out, length};
}

bool parameter(struct bytes query, struct bytes name, struct bytes *value) {
    while (query.length > 0) {
        size_t end = find(query, '&');
        struct bytes pair = before(query, end);
        size_t equals = find(pair, '=');
        if (pair.length > 0 && is_equal(decoded(before(pair, equals)), name)) {
            *value = decoded(behind(pair, equals));
            return true;
        }
        query = behind(query, end);
    }
    return false;
}

bool field_value(struct request request, struct bytes name, struct bytes *value) {
    for (size_t i = 0; i < request.fields.count; i++) {
        if (is_equal(request.fields.at[i].name, name)) {
            *value = request.fields.at[i].value;
            return true;
        }
    }
    return false;
}

bool cookie(struct request request, struct bytes name, struct bytes *value) {
    for (size_t i = 0; i < request.fields.count; i++) {
        if (!is_equal(request.fields.at[i].name, TEXT("cookie"))) {
            continue;
        }
        struct bytes rest = request.fields.at[i].value;
        while (rest.length > 0) {
            size_t end = find(rest, ';');
            struct bytes pair = before(rest, end);
            size_t equals = find(pair, '=');
            if (equals < pair.length && is_equal(trimmed(before(pair, equals)), name)) {
                *value = trimmed(behind(pair, equals));
                return true;
            }
            rest = behind(rest, end);
        }
    }
    return false;
}

static int base64_digit(char digit) {
    if (digit >= 'A' && digit <= 'Z') {
        return digit - 'A';
    }
    if (digit >= 'a' && digit <= 'z') {
        return digit - 'a' + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return digit - '0' + 52;
    }
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

bool basic_auth(struct request request, struct bytes *user, struct bytes *password) {
    struct bytes value;
    if (!field_value(request, TEXT("authorization"), &value) || find(value, ' ') != 5) {
        return false;
    }
    for (size_t i = 0; i < 5; i++) {
        if ((value.at[i] | 0x20) != "basic"[i]) {
            return false;
        }
    }
    struct bytes token = trimmed(behind(value, 5));
    while (token.length > 0 && token.at[token.length - 1] == '=') {
        token.length--;
    }
    char *out = keep(token.length);
    size_t length = 0;
    unsigned bits = 0, count = 0;
    for (size_t i = 0; i < token.length; i++) {
        int digit = base64_digit(token.at[i]);
        if (digit < 0) {
            return false;
        }
        bits = (bits << 6 | (unsigned)digit) & 0xffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[length++] = (char)(bits >> count & 0xff);
        }
    }
    struct bytes both = {out, length};
    size_t colon = find(both, ':');
    *user = before(both, colon);
    *password = behind(both, colon);
    return colon < both.length;
}

struct decision page(struct bytes path) {
    bool is_directory = path.length == 0 || path.at[path.length - 1] == '/';
    return (struct decision){.kind = is_directory ? DECISION_INDEX : DECISION_FILE, .path = path};
}

struct decision not_found(void) { return (struct decision){.kind = DECISION_NOT_FOUND}; }

struct decision redirect_to(uint16_t status, struct bytes location) {
    return (struct decision){.kind = DECISION_REDIRECT, .redirect = {.status = status, .location = location}};
}

struct decision text_reply(uint16_t status, struct bytes text) {
    return (struct decision){.kind = DECISION_REPLY, .reply = {.status = status, .body = text}};
}

struct decision with_field(struct decision decision, struct bytes name, struct bytes value) {
    struct decision serve = {.kind = DECISION_SERVE};
    switch (decision.kind) {
    case DECISION_INDEX:
    case DECISION_FILE: {
        struct candidate *candidate = keep(sizeof *candidate);
        uint8_t kind = decision.kind == DECISION_INDEX ? PAGE_INDEX : PAGE_FILE;
        *candidate = (struct candidate){.page = {kind, decision.path}, .status = 200};
        serve.serve.candidates = (struct candidates){candidate, 1};
        decision = serve;
        break;
    }
    case DECISION_NOT_FOUND:
        decision = serve;
        break;
    default:
        break;
    }
    struct fields *fields = decision.kind == DECISION_SERVE      ? &decision.serve.fields
                            : decision.kind == DECISION_REDIRECT ? &decision.redirect.fields
                                                                 : &decision.reply.fields;
    struct field *all = keep((fields->count + 1) * sizeof *all);
    for (size_t i = 0; i < fields->count; i++) {
        all[i] = fields->at[i];
    }
    all[fields->count] = (struct field){name, value};
    *fields = (struct fields){all, fields->count + 1};
    return decision;
}
