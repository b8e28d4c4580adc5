/* Tests of helpers.c, as a native program. */
#define INNKEEPER_EXPORTS
#include "helpers.h"

#include <assert.h>
#include <stdio.h>

/* A policy has to be there. */
struct names interests(void) { return (struct names){NULL, 0}; }
struct decision decide(struct request request) { return text_reply(200, request.line); }

int main(void) {
    struct bytes value, user, password, query = query_of(TEXT("GET /a?x=1&q=%C3%BC+%2B&e&q=2 HTTP/1.1"));
    assert(parameter(query, TEXT("q"), &value) && is_equal(value, TEXT("\xc3\xbc +")));
    assert(parameter(query, TEXT("e"), &value) && value.length == 0);
    assert(!parameter(query, TEXT("z"), &value) && query_of(TEXT("GET / HTTP/1.1")).length == 0);
    struct field fields[] = {{STATIC_TEXT("cookie"), STATIC_TEXT("a=1; session=x=y ;b")},
                             {STATIC_TEXT("authorization"), STATIC_TEXT("basic YWxpY2U6b3BlbjpzZXNhbWU=")}};
    struct request request = {TEXT(""), {fields, 2}};
    assert(cookie(request, TEXT("session"), &value) && is_equal(value, TEXT("x=y")));
    assert(!cookie(request, TEXT("b"), &value) && !field_value(request, TEXT("x"), &value));
    assert(basic_auth(request, &user, &password));
    assert(is_equal(user, TEXT("alice")) && is_equal(password, TEXT("open:sesame")));
    const char *bad[] = {"", "Basic", "Basic !", "Bearer abc", "Basic YQ=="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t length = 0;
        while (bad[i][length] != 0) {
            length++;
        }
        fields[1].value = (struct bytes){bad[i], length};
        assert(!basic_auth(request, &user, &password));
    }
    struct decision all[] = {page(TEXT("a")), page(TEXT("")), not_found(), redirect_to(301, TEXT("/a")), text_reply(200, TEXT("a"))};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct decision got = with_field(with_field(all[i], TEXT("x-a"), TEXT("1")), TEXT("x-b"), TEXT("2"));
        struct fields its = got.kind == DECISION_SERVE ? got.serve.fields : got.kind == DECISION_REDIRECT ? got.redirect.fields : got.reply.fields;
        assert(its.count == 2 && is_equal(its.at[1].name, TEXT("x-b")) && is_equal(its.at[0].value, TEXT("1")));
    }
    puts("passed");
    return 0;
}
