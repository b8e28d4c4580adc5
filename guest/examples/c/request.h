/* The request line, parsed: the path of the site that it names. It follows the default policy,
 * in guest/src/line.rs and guest/src/path.rs. Copy it into a policy of your own. */
#ifndef REQUEST_H
#define REQUEST_H

#include "innkeeper.h"

enum about {
    ABOUT_PATH,      /* a path below the site's root */
    ABOUT_NOTHING,   /* a request line that can name nothing here */
    ABOUT_MALFORMED, /* no request line */
    ABOUT_VERSION,   /* a request line of another version than HTTP/1.x */
};

/* Parses a request line and sets the path that it names. The path is decoded, has no `.` and
 * `..`, and does not begin with `/`; that of a directory ends with `/`, and the root is empty. */
enum about request_about(struct bytes line, struct bytes *path);

#endif
