/* post.h - delivers requests over HTTP and keeps count of what came of them.
 *
 * One connection, kept open. 429 and 503 are tried again after what Retry-After asks
 * (at most a second: the shop's time runs fast), other failures are counted and let go,
 * as exporters do. */
#ifndef SHOP_POST_H
#define SHOP_POST_H

#include "text.h"

#include <stdbool.h>
#include <stdint.h>

struct shop_post_count {
    uint64_t requests, accepted, refused, unreachable, retries, bytes;
    long refused_status;         /* of the last refusal */
    char refused_text[160];      /* and the first bytes of its body */
};

struct shop_post;

/* url: "http://127.0.0.1:9428", without a path. NULL when curl cannot be had. */
struct shop_post *shop_post_new(const char *url);
void shop_post_free(struct shop_post *post);

struct shop_post_request {
    const char *path, *content_type, *encoding; /* encoding: NULL or a Content-Encoding */
    const char *header;                         /* one more, or NULL */
    const void *at;
    size_t bytes;
};
/* True when it was answered with 2xx. */
bool shop_post_send(struct shop_post *post, const struct shop_post_request *request);
const struct shop_post_count *shop_post_count(const struct shop_post *post);

#endif
