#include "post.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POST_TRIES = 50, POST_WAIT_MS_FIRST = 10, POST_WAIT_MS_MAX = 1000, POST_TIMEOUT_MS = 15000 };

struct shop_post {
    CURL *curl;
    char url[512];
    struct shop_text answer;
    struct shop_post_count count;
};

static size_t post_keep(char *at, size_t size, size_t count, void *context)
{
    struct shop_text *answer = context;
    if (answer->bytes < 4096) {
        shop_text_put(answer, at, size * count);
    }
    return size * count;
}

struct shop_post *shop_post_new(const char *url)
{
    struct shop_post *post = calloc(1, sizeof(*post));
    if (post == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(post);
        return NULL;
    }
    post->curl = curl_easy_init();
    if (post->curl == NULL) {
        shop_post_free(post);
        return NULL;
    }
    (void)snprintf(post->url, sizeof(post->url), "%s", url);
    const size_t bytes = strlen(post->url);
    if (bytes > 0 && post->url[bytes - 1] == '/') {
        post->url[bytes - 1] = '\0';
    }
    return post;
}

void shop_post_free(struct shop_post *post)
{
    if (post != NULL) {
        curl_easy_cleanup(post->curl);
        curl_global_cleanup();
        shop_text_fini(&post->answer);
        free(post);
    }
}

static void post_sleep_ms(long ms)
{
    const struct timespec wait = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000 };
    (void)nanosleep(&wait, NULL);
}

static struct curl_slist *post_headers(const struct shop_post_request *request)
{
    char line[128];
    (void)snprintf(line, sizeof(line), "Content-Type: %s", request->content_type);
    struct curl_slist *headers = curl_slist_append(NULL, line);
    if (request->encoding != NULL) {
        (void)snprintf(line, sizeof(line), "Content-Encoding: %s", request->encoding);
        headers = curl_slist_append(headers, line);
    }
    if (request->header != NULL) {
        headers = curl_slist_append(headers, request->header);
    }
    /* Without this curl asks "100-continue" for larger bodies and waits. */
    return curl_slist_append(headers, "Expect:");
}

static long post_once(struct shop_post *post, const struct shop_post_request *request)
{
    char url[768];
    long status = 0;
    struct curl_slist *headers = post_headers(request);
    (void)snprintf(url, sizeof(url), "%s%s", post->url, request->path);
    shop_text_reset(&post->answer);
    curl_easy_reset(post->curl);
    (void)curl_easy_setopt(post->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(post->curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(post->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(post->curl, CURLOPT_TIMEOUT_MS, (long)POST_TIMEOUT_MS);
    (void)curl_easy_setopt(post->curl, CURLOPT_USERAGENT, "shop/0.1");
    (void)curl_easy_setopt(post->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(post->curl, CURLOPT_POSTFIELDS, request->at);
    (void)curl_easy_setopt(post->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->bytes);
    (void)curl_easy_setopt(post->curl, CURLOPT_WRITEFUNCTION, post_keep);
    (void)curl_easy_setopt(post->curl, CURLOPT_WRITEDATA, &post->answer);
    if (curl_easy_perform(post->curl) == CURLE_OK) {
        (void)curl_easy_getinfo(post->curl, CURLINFO_RESPONSE_CODE, &status);
    }
    curl_slist_free_all(headers);
    return status;
}

static long post_wait_ms(struct shop_post *post, int try_index)
{
    curl_off_t after_s = 0;
    (void)curl_easy_getinfo(post->curl, CURLINFO_RETRY_AFTER, &after_s);
    const long ms = after_s > 0 ? (long)after_s * 1000 : (long)POST_WAIT_MS_FIRST * (try_index + 1);
    return ms < POST_WAIT_MS_MAX ? ms : POST_WAIT_MS_MAX;
}

static void post_refused(struct shop_post *post, long status)
{
    post->count.refused++;
    post->count.refused_status = status;
    (void)snprintf(post->count.refused_text, sizeof(post->count.refused_text), "%.*s",
                   (int)(post->answer.bytes < 150 ? post->answer.bytes : 150),
                   post->answer.bytes > 0 ? post->answer.at : "");
}

bool shop_post_send(struct shop_post *post, const struct shop_post_request *request)
{
    post->count.requests++;
    for (int i = 0; i < POST_TRIES; i++) {
        const long status = post_once(post, request);
        if (status >= 200 && status < 300) {
            post->count.accepted++;
            post->count.bytes += request->bytes;
            return true;
        }
        if (status == 0) {
            post->count.unreachable++;
            return false;
        }
        if (status != 429 && status != 503) {
            post_refused(post, status);
            return false;
        }
        post->count.retries++;
        post_sleep_ms(post_wait_ms(post, i));
    }
    post_refused(post, 503);
    return false;
}

const struct shop_post_count *shop_post_count(const struct shop_post *post)
{
    return &post->count;
}
