/* The contract of wit/policy.wit, as C has it. Copy this file into a policy of your own.
 *
 * A policy defines two functions:
 *
 *     struct names interests(void);
 *     struct decision decide(struct request request);
 *
 * and compiles for any machine, so that a native program can test it. For WebAssembly this
 * file adds the functions that the host calls, by the canonical ABI of the component model.
 * Include it in one file of a policy with INNKEEPER_EXPORTS defined.
 *
 * With INNKEEPER_CONFIGURABLE defined it can be configured by data (the world
 * `configurable-guest`), and defines one more function, which returns an empty text, or what is
 * wrong with the data:
 *
 *     struct bytes configure(struct bytes data);
 *
 * With INNKEEPER_DEVELOPMENT defined, for a guest of the world `speaking` besides, `say` shows a
 * text in `innkeeper test`, `check`, `explain` and `dev`; else it does nothing, and is no import.
 *
 * A decision must point to data that outlives the function: constants, or memory of `keep`.
 */
#ifndef INNKEEPER_H
#define INNKEEPER_H

#include <stddef.h>
#include <stdint.h>

/* A `string` (UTF-8) or a `list<u8>`: in both cases a pointer and a count of bytes. There is
 * no NUL at the end. */
struct bytes {
    const char *at;
    size_t length;
};

/* A constant as bytes; the second form is for the initial value of something static. */
#define TEXT(constant) ((struct bytes)STATIC_TEXT(constant))
#define STATIC_TEXT(constant) {"" constant, sizeof(constant) - 1}

/* Shows a text to the author of the policy. */
#if defined(INNKEEPER_DEVELOPMENT) && defined(__wasm__)
__attribute__((import_module("innkeeper:policy/development@0.1.0"), import_name("say"))) void
innkeeper_say(const char *at, size_t length);
static inline void say(struct bytes text) { innkeeper_say(text.at, text.length); }
#else
static inline void say(struct bytes text) { (void)text; }
#endif

/* `list<string>` */
struct names {
    const struct bytes *at;
    size_t count;
};

/* `record field`, and a list of it */
struct field {
    struct bytes name;
    struct bytes value;
};

struct fields {
    const struct field *at;
    size_t count;
};

/* `record request` */
struct request {
    struct bytes line;
    struct fields fields;
};

/* `variant page`: the number of a case is its place in the WIT. */
enum { PAGE_INDEX, PAGE_FILE };

struct page {
    uint8_t kind;
    struct bytes path;
};

/* `option<string>`: there is none in what is left out of an initial value. */
struct maybe_bytes {
    uint8_t is_some;
    struct bytes some;
};

/* `record candidate` */
struct candidate {
    struct page page;
    uint16_t status; /* 200, unless the page explains an error or is a reason to redirect */
    struct maybe_bytes location;
    struct fields fields;
};

struct candidates {
    const struct candidate *at;
    size_t count;
};

/* `record redirect` */
struct redirect {
    uint16_t status;
    struct bytes location;
    struct fields fields;
};

/* `option<redirect>` */
struct maybe_redirect {
    uint8_t is_some;
    struct redirect some;
};

/* `record serve` */
struct serve {
    struct candidates candidates;
    struct maybe_redirect otherwise;
    struct fields fields;
};

/* `record reply` */
struct reply {
    uint16_t status;
    struct fields fields;
    struct bytes body;
};

/* `variant decision` */
enum { DECISION_INDEX, DECISION_FILE, DECISION_SERVE, DECISION_NOT_FOUND, DECISION_REDIRECT, DECISION_REPLY };

struct decision {
    uint8_t kind;
    union {
        struct bytes path; /* of DECISION_INDEX and DECISION_FILE */
        struct serve serve;
        struct redirect redirect;
        struct reply reply;
    };
};

struct names interests(void);
struct decision decide(struct request request);
#ifdef INNKEEPER_CONFIGURABLE
struct bytes configure(struct bytes data);
#endif

/* Allocates memory. Nothing is freed: each decision runs on a fresh instance, which begins with
 * the memory that `configure` left. */
void *keep(size_t size);

#ifdef INNKEEPER_EXPORTS
#ifdef __wasm__

/* C lays a struct out as the canonical ABI lays out a record or a variant: each part at the
 * next multiple of its alignment. So a function returns a pointer to one of these. */
_Static_assert(sizeof(struct field) == 16, "the layout of a field");
_Static_assert(sizeof(struct candidate) == 36, "the layout of a candidate");
_Static_assert(offsetof(struct candidate, location) == 16, "the layout of a candidate");
_Static_assert(sizeof(struct serve) == 40, "the layout of a serve");
_Static_assert(offsetof(struct serve, fields) == 32, "the layout of a serve");
_Static_assert(sizeof(struct decision) == 44, "the layout of a decision");
_Static_assert(offsetof(struct decision, serve) == 4, "the layout of a decision");

/* Memory for one request and its decision: the host accepts heads of 16 KiB. Only pages that
 * are written to cost memory. What does not fit, as data may not, has memory grow. */
enum { ROOM = 128 << 10, PAGE = 64 << 10 };
static _Alignas(8) char room[ROOM];
static char *free_memory = room;
static size_t free_bytes = ROOM;

/* Makes this much memory free, behind all that there is. */
static void grow(size_t size) {
    size_t pages = (size + PAGE - 1) / PAGE;
    size_t first = __builtin_wasm_memory_grow(0, pages);
    if (first == (size_t)-1) {
        __builtin_trap();
    }
    free_memory = (char *)(first * PAGE);
    free_bytes = pages * PAGE;
}

void *keep(size_t size) {
    size = (size + 7) & ~(size_t)7;
    if (size > free_bytes) {
        grow(size > ROOM ? size : ROOM);
    }
    void *at = free_memory;
    free_memory += size;
    free_bytes -= size;
    return at;
}

/* The host allocates memory for a request. It never reallocates. */
__attribute__((export_name("cabi_realloc"))) void *
cabi_realloc(void *old, size_t old_size, size_t alignment, size_t size) {
    (void)alignment; /* 4 at most; `keep` aligns to 8 */
    if (old_size != 0) {
        __builtin_trap();
    }
    return size == 0 ? old : keep(size);
}

__attribute__((export_name("innkeeper:policy/policy@0.1.0#interests"))) const struct names *
export_interests(void) {
    static struct names result;
    result = interests();
    return &result;
}

/* A record of two lists is flattened to four numbers. */
__attribute__((export_name("innkeeper:policy/policy@0.1.0#decide"))) const struct decision *
export_decide(const char *line, size_t line_length, const struct field *fields, size_t count) {
    static struct decision result;
    result = decide((struct request){{line, line_length}, {fields, count}});
    return &result;
}

#ifdef INNKEEPER_CONFIGURABLE
/* `result<_, string>` */
struct configured {
    uint8_t is_error;
    struct bytes error;
};

__attribute__((export_name("innkeeper:policy/configuration@0.1.0#configure"))) const struct configured *
export_configure(const char *data, size_t length) {
    static struct configured result;
    result.error = configure((struct bytes){data, length});
    result.is_error = result.error.length != 0;
    /* A request has all of the room again. */
    if (free_bytes < ROOM) {
        grow(ROOM);
    }
    return &result;
}
#endif

#else /* native, for tests */

#include <stdlib.h>

void *keep(size_t size) {
    void *at = malloc(size != 0 ? size : 1);
    if (at == NULL) {
        abort();
    }
    return at;
}

#endif
#endif
#endif
