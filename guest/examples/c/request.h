/* The request line, taken apart: which path of the site it is about. It follows the default
 * policy, in guest/src/request.rs and guest/src/path.rs. Copy it into a policy of your own. */
#ifndef REQUEST_H
#define REQUEST_H

#include "innkeeper.h"

enum about {
    ABOUT_PATH,      /* a path below the site's root */
    ABOUT_NOTHING,   /* a request line that can name nothing here */
    ABOUT_MALFORMED, /* no request line */
    ABOUT_VERSION,   /* one of another HTTP than 1.x */
};

/* What the request with this line is about. The path is decoded, has no `.` and `..`, and does
 * not begin with `/`; the one of a directory ends with `/`, and the root is empty. */
enum about request_about(struct bytes line, struct bytes *path);

#endif
