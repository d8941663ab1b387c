/* export_send.c - one request to one receiver, again and again until it has an answer. */
#include "base/log.h"
#include "export/export_int.h"

#include <curl/curl.h>

#define RETRY_FIRST_S 0.5
#define RETRY_MOST_S 30.0
enum { ANSWER_BYTES_MAX = 300 };

struct answer { char text[ANSWER_BYTES_MAX]; size_t bytes; };

static size_t answer_take(char *at, size_t size, size_t count, void *context)
{
    struct answer *answer = context;
    const size_t bytes = size * count, room = sizeof(answer->text) - 1 - answer->bytes;
    const size_t kept = bytes < room ? bytes : room;
    memcpy(answer->text + answer->bytes, at, kept);
    answer->bytes += kept;
    answer->text[answer->bytes] = '\0';
    return bytes; /* the rest is not wanted, but it is no error */
}

/* libcurl asks about once a second whether to go on. */
static int send_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct export_target *target = context;
    (void)a, (void)b, (void)c, (void)d;
    return ql_wait_is_stopped(&target->wait) ? 1 : 0;
}

/* The status, or 0 when there was none; *ret_after_s is what Retry-After asks for. */
static long send_once(struct export_target *target, ql_str body, struct answer *answer,
                      double *ret_after_s)
{
    static const char *const lines[] = { "Content-Type: application/x-protobuf",
                                         "Content-Encoding: snappy",
                                         "X-Prometheus-Remote-Write-Version: 0.1.0", "Expect:" };
    CURL *easy = target->easy;
    struct curl_slist *headers = NULL;
    long status = 0;
    for (size_t i = 0; i < QL_COUNT_OF(lines); i++) {
        struct curl_slist *longer = curl_slist_append(headers, lines[i]);
        if (longer == NULL) {
            curl_slist_free_all(headers);
            return 0;
        }
        headers = longer;
    }
    *answer = (struct answer){ .bytes = 0 };
    curl_easy_reset(easy); /* keeps the connection */
    (void)curl_easy_setopt(easy, CURLOPT_URL, target->url);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "quell/" QL_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* the environment's is not ours */
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(target->timeout_s * 1000.0));
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.at);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.bytes);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, answer_take);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    (void)curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, send_progress);
    (void)curl_easy_setopt(easy, CURLOPT_XFERINFODATA, target);
    const CURLcode code = curl_easy_perform(easy);
    curl_off_t after = 0;
    if (code == CURLE_OK) {
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &after);
    } else {
        const ql_str why = ql_str_of(curl_easy_strerror(code));
        (void)answer_take((char *)(uintptr_t)why.at, 1, why.bytes, answer);
    }
    curl_slist_free_all(headers);
    *ret_after_s = (double)after;
    return status;
}

static enum export_outcome send_refused(struct export_target *target, long status,
                                        const struct answer *answer)
{
    const uint32_t samples = target->out.sample_count;
    ql_stat_add(target->counts.refused, 1);
    ql_stat_add(target->counts.dropped_refused, samples);
    QL_LOG(WARN, "a remote write was refused; its samples are dropped",
           QL_LOG_T("url", target->url), QL_LOG_N("status", status), QL_LOG_N("samples", samples),
           QL_LOG_T("answer", answer->text));
    return EXPORT_GONE;
}

enum export_outcome export_send(struct export_target *target, ql_time oldest)
{
    const int64_t backlog_ns = (int64_t)(target->backlog_s * 1e9);
    double wait_s = RETRY_FIRST_S;
    bool told = false;
    ql_str body;
    if (ql_remote_write_out_finish(&target->out, &body) != QL_OK) {
        ql_stat_add(target->counts.dropped_refused, target->out.sample_count);
        return EXPORT_GONE;
    }
    for (;;) {
        struct answer answer;
        double after_s = 0.0;
        const long status = send_once(target, body, &answer, &after_s);
        if (status / 100 == 2) {
            ql_stat_add(target->counts.requests, 1);
            ql_stat_add(target->counts.samples, target->out.sample_count);
            return EXPORT_SENT;
        }
        if (status / 100 == 4 && status != 429) {
            return send_refused(target, status, &answer);
        }
        ql_stat_add(target->counts.retries, 1);
        if (!told) {
            told = true; /* once a request, not once a try */
            QL_LOG(WARN, "a remote write failed and is tried again", QL_LOG_T("url", target->url),
                   QL_LOG_N("status", status), QL_LOG_T("answer", answer.text));
        }
        after_s = after_s > RETRY_MOST_S ? RETRY_MOST_S : after_s;
        if (!ql_wait_for(&target->wait, after_s > wait_s ? after_s : wait_s)) {
            return EXPORT_STOPPED;
        }
        wait_s = wait_s * 2.0 < RETRY_MOST_S ? wait_s * 2.0 : RETRY_MOST_S;
        const ql_time now = target->view->now(target->view->host);
        if (now.ns - oldest.ns > backlog_ns) {
            ql_stat_add(target->counts.dropped_old, target->out.sample_count);
            return EXPORT_GONE;
        }
    }
}
