/* scrape.h - the door we open ourselves: asks Prometheus targets for their metrics.
 *
 * One thread, one libcurl multi. A target is asked every interval, at an offset that is a
 * hash of what it is, so that a thousand targets spread over the interval and keep their
 * places across restarts. What comes goes the way of every other door: decoded, journaled
 * with the bytes as they came (still gzipped), counted. A second small input carries `up`,
 * scrape_duration_seconds and scrape_samples_scraped. A target that fails gives `up 0` and
 * nothing else: that its series are silent is for later stages to judge.
 *
 * Ownership     the config is read during the call and not kept.
 * Threads       start, reload and stop from one thread; the scraper has its own, and none
 *               while there is nothing to scrape.
 * Errors        start, reload: QL_E_MEMORY, QL_E_CONFIG (labels that cannot be: why says
 *               which). A failed reload leaves the targets as they were.
 * Bounds        body_bytes_max a target, before and after decompression; 256 connections.
 *               A target still answering when its next turn comes loses that turn.
 * Metrics       ql_records_*{source="scrape"}; ql_scrapes_total{result}.
 */
#ifndef QL_RECEIVE_SCRAPE_H
#define QL_RECEIVE_SCRAPE_H

#include "config/config.h"
#include "receive/receive.h"

struct ql_scrape_env {
    const struct ql_accept *accept; /* borrowed until stop */
    size_t body_bytes_max;
    struct ql_stats *stats;
};

struct ql_scraper;
QL_MUST_USE ql_err ql_scrape_start(const struct ql_scrape_env *env, const struct ql_config *config,
                                   struct ql_scraper **ret_scraper, char *ret_why,
                                   size_t why_bytes);
/* Takes over the scrapes of `config`. A request under way is given up. */
QL_MUST_USE ql_err ql_scrape_reload(struct ql_scraper *scraper, const struct ql_config *config,
                                    char *ret_why, size_t why_bytes);
/* Returns once nothing more will be submitted; done() calls may still be under way, so
 * free() only after the engine has stopped. */
void ql_scrape_stop(struct ql_scraper *scraper);
void ql_scrape_free(struct ql_scraper *scraper); /* NULL is fine */

#endif
