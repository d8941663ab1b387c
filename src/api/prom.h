/* prom.h - Prometheus' HTTP API: what its handlers share. Private to src/api.
 *
 * Answers are {"status":"success","data":...}; failures {"status":"error","errorType","error"}
 * with the codes of Prometheus: 400 bad_data, 422 execution, 503 timeout or unavailable.
 */
#ifndef QL_API_PROM_H
#define QL_API_PROM_H

#include "api/api_int.h"
#include "api/prom_source.h"

/* bad_data, execution, ... by the error, with the code that goes with it. */
void prom_fail(struct ql_http_request *request, ql_err err, const char *format, ...)
    QL_PRINTF(3, 4);
/* Opens the envelope up to "data"; what follows is its value, under the key `data`. */
void prom_answer_init(struct api_answer *answer);
void prom_answer_send(struct api_answer *answer, struct ql_http_request *request, ql_err err);
/* Unix seconds with fraction or RFC 3339, to the millisecond; answers 400 itself. */
QL_MUST_USE bool prom_param_time(struct ql_http_request *request, const char *name,
                                 int64_t otherwise_ms, int64_t *ret_ms);
/* [t, "value"] */
void prom_json_pair(struct ql_json_out *w, const char *key, int64_t at_ms, double value);
void prom_json_labels(struct ql_json_out *w, const char *key, ql_str block);
/* As Prometheus sorts label sets: name by name, value by value. */
int prom_labels_order(ql_str a, ql_str b);

#endif
