#include "receive/scrape.h"

#include "base/clock.h"
#include "receive/receive_int.h"
#include "receive/scrape_int.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define SCRAPE_CONNECTIONS_MAX 256L
#define SCRAPE_REDIRECTS_MAX 5L
#define SCRAPE_ACCEPT                                                                  \
    "Accept: text/plain;version=0.0.4;q=0.9,application/openmetrics-text;"             \
    "version=1.0.0;q=0.5,*/*;q=0.1"

/* One request to one target. The handle stays with the visit for the next turn. */
struct scrape_visit {
    struct ql_scraper *scraper;
    struct scrape_target *target;
    CURL *easy;
    struct curl_slist *headers;
    struct ql_buf body;
    ql_time began;
    int64_t began_mono_ns;
    char error[CURL_ERROR_SIZE];
};

struct ql_scraper {
    struct ql_accept accept;
    struct ql_wire_limits limits;
    struct receive_counts counts;
    struct ql_stat_cell *good, *bad, *late;
    pthread_t thread;
    bool running;                  /* the owner's: a thread was started */
    pthread_mutex_t lock;          /* over the three below */
    bool stopping, replaced;
    struct scrape_table replacement;
    struct scrape_table table;     /* the thread's own, with the multi */
    CURLM *multi;
    struct scrape_visit *idle[64]; /* handles kept for the next turn */
    uint32_t idle_count;
};

/* ---- handing over ------------------------------------------------------------------ */

struct scrape_given { struct ql_scraper *scraper; uint32_t count; };

static void scrape_done(void *context, ql_err err)
{
    struct scrape_given *given = context;
    const struct receive_counts *counts = &given->scraper->counts;
    if (err == QL_OK) {
        ql_receive_count_accepted(counts, QL_DOOR_SCRAPE, given->count);
    } else {
        ql_receive_count_dropped(counts, QL_DOOR_SCRAPE, ql_receive_reason(err), given->count);
    }
    free(given);
}

static void scrape_submit(struct scrape_visit *visit, const struct ql_wire_input *in,
                          struct ql_batch *batch, uint32_t count)
{
    const struct ql_accept *accept = &visit->scraper->accept;
    struct scrape_given *given = malloc(sizeof(*given));
    if (given == NULL) {
        accept->batch_give_back(accept->host, batch);
        ql_receive_count_dropped(&visit->scraper->counts, QL_DOOR_SCRAPE, QL_REASON_MEMORY, count);
        return;
    }
    *given = (struct scrape_given){ visit->scraper, count };
    batch->accepted = in->accepted;
    batch->source = QL_DOOR_SCRAPE;
    const struct ql_submission submission = {
        .door = QL_DOOR_SCRAPE, .encoding = (uint8_t)in->encoding, .format = (uint8_t)in->format,
        .accepted = in->accepted, .origin = in->origin, .bytes = in->body, .batch = batch,
        .done = scrape_done, .context = given,
    };
    const ql_err err = accept->submit(accept->host, &submission);
    if (err != QL_OK) {
        scrape_done(given, err);
    }
}

/* Decodes and submits one body; false when the target's answer is no exposition. */
static bool scrape_give(struct scrape_visit *visit, enum ql_encoding encoding, ql_str body,
                        uint32_t *ret_count)
{
    struct ql_scraper *scraper = visit->scraper;
    const struct ql_accept *accept = &scraper->accept;
    struct ql_reject reject = { .total = 0 };
    const struct ql_wire_input in = {
        .door = QL_DOOR_SCRAPE, .encoding = encoding, .format = QL_FORMAT_TEXT,
        .accepted = visit->began, .origin = ql_buf_view(&visit->target->origin), .body = body,
    };
    struct ql_batch *batch = accept->batch_take(accept->host);
    if (batch == NULL) {
        ql_receive_count_dropped(&scraper->counts, QL_DOOR_SCRAPE, QL_REASON_QUEUE_FULL, 1);
        return true; /* not the target's fault */
    }
    const ql_err err = ql_wire_decode(&in, &scraper->limits, batch, &reject);
    ql_receive_count_rejected(&scraper->counts, QL_DOOR_SCRAPE, &reject);
    if (err != QL_OK && reject.total == 0) {
        ql_receive_count_dropped(&scraper->counts, QL_DOOR_SCRAPE, ql_receive_reason(err), 1);
    }
    *ret_count = err == QL_OK ? ql_receive_records(batch) : 0;
    if (*ret_count > 0) {
        scrape_submit(visit, &in, batch, *ret_count);
    } else {
        accept->batch_give_back(accept->host, batch);
    }
    /* Where nothing at all is right it is another's page, a proxy's for one. */
    return err == QL_OK && (*ret_count > 0 || reject.total == 0);
}

static void scrape_give_health(struct scrape_visit *visit, bool up, uint32_t count)
{
    char text[256];
    uint32_t given;
    const double took_s = (double)(ql_clock_mono_ns() - visit->began_mono_ns) / 1e9;
    const int bytes = snprintf(text, sizeof(text),
                               "# TYPE up gauge\nup %d\n"
                               "# TYPE scrape_duration_seconds gauge\n"
                               "scrape_duration_seconds %.9f\n"
                               "# TYPE scrape_samples_scraped gauge\n"
                               "scrape_samples_scraped %u\n", up ? 1 : 0, took_s, count);
    (void)scrape_give(visit, QL_ENCODING_NONE, (ql_str){ text, (size_t)bytes }, &given);
}

/* ---- one visit --------------------------------------------------------------------- */

static size_t scrape_receive(char *at, size_t size, size_t count, void *context)
{
    struct scrape_visit *visit = context;
    /* A short count makes libcurl give up: the body is over its limit. */
    return ql_buf_put(&visit->body, at, size * count) == QL_OK ? size * count : 0;
}

static void visit_free(struct scrape_visit *visit)
{
    curl_easy_cleanup(visit->easy);
    curl_slist_free_all(visit->headers);
    ql_buf_fini(&visit->body);
    free(visit);
}

static struct scrape_visit *visit_new(struct ql_scraper *scraper)
{
    if (scraper->idle_count > 0) {
        return scraper->idle[--scraper->idle_count];
    }
    struct scrape_visit *visit = calloc(1, sizeof(*visit));
    if (visit == NULL) {
        return NULL;
    }
    visit->scraper = scraper;
    visit->easy = curl_easy_init();
    ql_buf_init(&visit->body, scraper->limits.body_bytes_max);
    if (visit->easy == NULL) {
        visit_free(visit);
        return NULL;
    }
    return visit;
}

static void visit_keep(struct scrape_visit *visit)
{
    struct ql_scraper *scraper = visit->scraper;
    if (visit->target != NULL) {
        visit->target->visit = NULL;
        visit->target = NULL;
    }
    curl_slist_free_all(visit->headers);
    visit->headers = NULL;
    if (scraper->idle_count < QL_COUNT_OF(scraper->idle)) {
        ql_buf_reset(&visit->body);
        scraper->idle[scraper->idle_count++] = visit;
    } else {
        visit_free(visit);
    }
}

static bool visit_headers(struct scrape_visit *visit)
{
    char timeout[96];
    (void)snprintf(timeout, sizeof(timeout), "X-Prometheus-Scrape-Timeout-Seconds: %.3f",
                   visit->target->timeout_ms / 1e3);
    const char *const lines[] = { SCRAPE_ACCEPT, "Accept-Encoding: gzip", timeout };
    for (size_t i = 0; i < QL_COUNT_OF(lines); i++) {
        struct curl_slist *longer = curl_slist_append(visit->headers, lines[i]);
        if (longer == NULL) {
            return false;
        }
        visit->headers = longer;
    }
    return true;
}

static void visit_set_up(struct scrape_visit *visit)
{
    CURL *easy = visit->easy;
    curl_easy_reset(easy); /* keeps connections, forgets the last target's settings */
    (void)curl_easy_setopt(easy, CURLOPT_URL, visit->target->url);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, visit->headers);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "quell/" QL_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_MAXREDIRS, SCRAPE_REDIRECTS_MAX);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* the environment's is not ours */
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)visit->target->timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, scrape_receive);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, visit);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, visit->error);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, visit);
}

static void visit_begin(struct ql_scraper *scraper, struct scrape_target *target, ql_time now)
{
    struct scrape_visit *visit = visit_new(scraper);
    if (visit == NULL) {
        ql_stat_add(scraper->bad, 1);
        return;
    }
    visit->target = target;
    visit->began = now;
    visit->began_mono_ns = ql_clock_mono_ns();
    if (!visit_headers(visit)) {
        ql_stat_add(scraper->bad, 1);
        visit_keep(visit);
        return;
    }
    visit_set_up(visit);
    target->visit = visit;
    if (curl_multi_add_handle(scraper->multi, visit->easy) != CURLM_OK) {
        ql_stat_add(scraper->bad, 1);
        visit_keep(visit);
    }
}

static bool visit_encoding(const struct scrape_visit *visit, enum ql_encoding *ret_encoding)
{
    struct curl_header *header;
    *ret_encoding = QL_ENCODING_NONE;
    if (curl_easy_header(visit->easy, "Content-Encoding", 0, CURLH_HEADER, -1, &header) !=
        CURLHE_OK) {
        return true;
    }
    return ql_receive_encoding(ql_str_of(header->value), ret_encoding) == QL_OK;
}

static void visit_end(struct scrape_visit *visit, CURLcode code)
{
    struct ql_scraper *scraper = visit->scraper;
    enum ql_encoding encoding;
    long status = 0;
    uint32_t count = 0;
    bool up = code == CURLE_OK;
    if (visit->body.failed) {
        ql_receive_count_dropped(&scraper->counts, QL_DOOR_SCRAPE, QL_REASON_TOO_LARGE, 1);
    }
    (void)curl_easy_getinfo(visit->easy, CURLINFO_RESPONSE_CODE, &status);
    up = up && status == 200;
    if (up && !visit_encoding(visit, &encoding)) {
        ql_receive_count_dropped(&scraper->counts, QL_DOOR_SCRAPE, QL_REASON_ENCODING, 1);
        up = false;
    }
    up = up && scrape_give(visit, encoding, ql_buf_view(&visit->body), &count);
    scrape_give_health(visit, up, count);
    ql_stat_add(up ? scraper->good : scraper->bad, 1);
    (void)curl_multi_remove_handle(scraper->multi, visit->easy);
    visit_keep(visit);
}

/* ---- the thread -------------------------------------------------------------------- */

static void scrape_begin_due(struct ql_scraper *scraper, ql_time now)
{
    for (uint32_t i = 0; i < scraper->table.count; i++) {
        struct scrape_target *target = &scraper->table.at[i];
        if (target->due_ns > now.ns) {
            /* A clock that was set back must not silence a target until it catches up. */
            if (target->due_ns - now.ns > target->interval_ns) {
                target->due_ns = ql_scrape_next_ns(target, now);
            }
            continue;
        }
        target->due_ns = ql_scrape_next_ns(target, now);
        if (target->visit == NULL) {
            visit_begin(scraper, target, now);
        } else {
            ql_stat_add(scraper->late, 1);
        }
    }
}

static void scrape_end_ready(struct ql_scraper *scraper)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(scraper->multi, &left)) != NULL) {
        void *visit = NULL;
        if (message->msg == CURLMSG_DONE) {
            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &visit);
            QL_ASSERT(visit != NULL);
            visit_end(visit, message->data.result);
        }
    }
}

static void scrape_give_up_all(struct ql_scraper *scraper)
{
    for (uint32_t i = 0; i < scraper->table.count; i++) {
        struct scrape_visit *visit = scraper->table.at[i].visit;
        if (visit != NULL) {
            (void)curl_multi_remove_handle(scraper->multi, visit->easy);
            visit_keep(visit);
        }
    }
}

/* Takes over new targets when there are some; false when it is time to end. */
static bool scrape_orders(struct ql_scraper *scraper)
{
    (void)pthread_mutex_lock(&scraper->lock);
    const bool stopping = scraper->stopping;
    if (scraper->replaced) {
        scrape_give_up_all(scraper);
        ql_scrape_table_free(&scraper->table);
        scraper->table = scraper->replacement;
        scraper->replacement = (struct scrape_table){ .at = NULL };
        scraper->replaced = false;
    }
    (void)pthread_mutex_unlock(&scraper->lock);
    return !stopping;
}

static int scrape_wait_ms(const struct ql_scraper *scraper, ql_time now)
{
    const int64_t due = ql_scrape_due_ns(&scraper->table);
    const int64_t left_ms = due == INT64_MAX ? 3600000 : (due - now.ns + 999999) / 1000000;
    return left_ms < 0 ? 0 : left_ms > 3600000 ? 3600000 : (int)left_ms;
}

static void *scrape_run(void *context)
{
    struct ql_scraper *scraper = context;
    int running;
    while (scrape_orders(scraper)) {
        scrape_begin_due(scraper, ql_clock_now());
        (void)curl_multi_perform(scraper->multi, &running);
        scrape_end_ready(scraper);
        (void)curl_multi_poll(scraper->multi, NULL, 0, scrape_wait_ms(scraper, ql_clock_now()),
                              NULL);
    }
    scrape_give_up_all(scraper);
    return NULL;
}

/* ---- the owner's side --------------------------------------------------------------- */

static void scrape_count_open(struct ql_scraper *scraper, struct ql_stats *stats)
{
    const char *help = "Turns of scrape targets by what came of them.";
    ql_receive_counts_init(&scraper->counts, stats);
    scraper->good = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_scrapes_total", help,
                                  "result=\"up\"");
    scraper->bad = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_scrapes_total", help,
                                 "result=\"down\"");
    scraper->late = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_scrapes_total", help,
                                  "result=\"skipped_still_running\"");
}

ql_err ql_scrape_start(const struct ql_scrape_env *env, const struct ql_config *config,
                       struct ql_scraper **ret_scraper, char *ret_why, size_t why_bytes)
{
    struct ql_scraper *scraper = calloc(1, sizeof(*scraper));
    if (scraper == NULL) {
        return QL_E_MEMORY;
    }
    (void)pthread_mutex_init(&scraper->lock, NULL);
    scraper->accept = *env->accept;
    scraper->limits.body_bytes_max = env->body_bytes_max;
    scrape_count_open(scraper, env->stats);
    const ql_err err = ql_scrape_reload(scraper, config, ret_why, why_bytes);
    if (err != QL_OK) {
        ql_scrape_free(scraper);
        return err;
    }
    *ret_scraper = scraper;
    return QL_OK;
}

/* The thread and libcurl cost memory: not before there is a target. */
static ql_err scrape_thread_start(struct ql_scraper *scraper, char *ret_why, size_t why_bytes)
{
    const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK) {
        (void)snprintf(ret_why, why_bytes, "%s", curl_easy_strerror(code));
        return QL_E_MEMORY;
    }
    scraper->multi = curl_multi_init();
    if (scraper->multi == NULL) {
        return QL_E_MEMORY;
    }
    (void)curl_multi_setopt(scraper->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                            SCRAPE_CONNECTIONS_MAX);
    if (pthread_create(&scraper->thread, NULL, scrape_run, scraper) != 0) {
        (void)curl_multi_cleanup(scraper->multi);
        scraper->multi = NULL;
        return QL_E_MEMORY;
    }
    scraper->running = true;
    return QL_OK;
}

ql_err ql_scrape_reload(struct ql_scraper *scraper, const struct ql_config *config, char *ret_why,
                        size_t why_bytes)
{
    struct scrape_table table;
    const ql_err err = ql_scrape_table_new(config, ql_clock_now(), &table, ret_why, why_bytes);
    if (err != QL_OK) {
        return err;
    }
    if (!scraper->running) {
        if (table.count == 0) {
            ql_scrape_table_free(&table);
            return QL_OK;
        }
        ql_scrape_table_free(&scraper->table); /* of a start that failed */
        scraper->table = table;
        return scrape_thread_start(scraper, ret_why, why_bytes);
    }
    (void)pthread_mutex_lock(&scraper->lock);
    ql_scrape_table_free(&scraper->replacement); /* one that was not even taken over */
    scraper->replacement = table;
    scraper->replaced = true;
    (void)pthread_mutex_unlock(&scraper->lock);
    (void)curl_multi_wakeup(scraper->multi);
    return QL_OK;
}

void ql_scrape_stop(struct ql_scraper *scraper)
{
    if (scraper == NULL || !scraper->running) {
        return;
    }
    (void)pthread_mutex_lock(&scraper->lock);
    scraper->stopping = true;
    (void)pthread_mutex_unlock(&scraper->lock);
    (void)curl_multi_wakeup(scraper->multi);
    (void)pthread_join(scraper->thread, NULL);
    scraper->running = false;
    while (scraper->idle_count > 0) {
        visit_free(scraper->idle[--scraper->idle_count]);
    }
    (void)curl_multi_cleanup(scraper->multi);
    scraper->multi = NULL;
    curl_global_cleanup();
}

void ql_scrape_free(struct ql_scraper *scraper)
{
    if (scraper == NULL) {
        return;
    }
    ql_scrape_stop(scraper);
    ql_scrape_table_free(&scraper->table);
    ql_scrape_table_free(&scraper->replacement);
    (void)pthread_mutex_destroy(&scraper->lock);
    free(scraper);
}
