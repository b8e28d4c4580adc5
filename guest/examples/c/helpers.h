/* What a policy needs besides the path: the query, fields, cookies and passwords of a request, and
 * decisions in few words. Copy it into a policy of your own, with helpers.c. */
#ifndef HELPERS_H
#define HELPERS_H

#include "innkeeper.h"

#include <stdbool.h>

/* Whether two texts are equal. */
bool is_equal(struct bytes one, struct bytes other);

/* Whether two texts are equal, in a time that does not tell where they differ. */
bool is_same_secret(struct bytes one, struct bytes other);

/* The query of a request line, without its `?`; empty without one. */
struct bytes query_of(struct bytes line);

/* The first value of the parameter with this name, decoded as forms send it. False without one. */
bool parameter(struct bytes query, struct bytes name, struct bytes *value);

/* The value of the first field of this name, in lower case, or of a fact such as ":client-name".
 * The policy names it in `interests`. False without one. */
bool field_value(struct request request, struct bytes name, struct bytes *value);

/* The value of a cookie, as it was sent. The policy names "cookie" in `interests`. */
bool cookie(struct request request, struct bytes name, struct bytes *value);

/* The user and the password of `Authorization: Basic …` (RFC 7617). The policy names
 * "authorization" in `interests`. */
bool basic_auth(struct request request, struct bytes *user, struct bytes *password);

/* What a path names: an index page if it is empty or ends with `/`, else a file. */
struct decision page(struct bytes path);

/* There is nothing here. */
struct decision not_found(void);

/* Send the client elsewhere. */
struct decision redirect_to(uint16_t status, struct bytes location);

/* A text of the policy's own. */
struct decision text_reply(uint16_t status, struct bytes text);

/* The same decision with one more field of the response, whatever it decides. */
struct decision with_field(struct decision decision, struct bytes name, struct bytes value);

#endif
