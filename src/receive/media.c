/* media.c - content types and encodings: what a sender says its bytes are, and whether the
 * door takes that. Pure.
 */
#include "receive/receive_int.h"

#include <strings.h>

static bool media_is_space(char c) { return c == ' ' || c == '\t'; }

static ql_str media_trim(ql_str s)
{
    while (s.bytes > 0 && media_is_space(s.at[0])) {
        s.at++;
        s.bytes--;
    }
    while (s.bytes > 0 && media_is_space(s.at[s.bytes - 1])) {
        s.bytes--;
    }
    return s;
}

/* Cuts off what stands before `mark`; the whole rest when there is none. */
static ql_str media_take(ql_str *rest, char mark)
{
    const char *stop = rest->bytes == 0 ? NULL : memchr(rest->at, mark, rest->bytes);
    const ql_str head = { rest->at, stop == NULL ? rest->bytes : (size_t)(stop - rest->at) };
    const size_t skip = head.bytes + (stop == NULL ? 0 : 1);
    *rest = (ql_str){ rest->at + skip, rest->bytes - skip };
    return media_trim(head);
}

static ql_str media_unquote(ql_str s)
{
    if (s.bytes >= 2 && s.at[0] == '"' && s.at[s.bytes - 1] == '"') {
        return (ql_str){ s.at + 1, s.bytes - 2 };
    }
    return s;
}

bool ql_receive_is(ql_str text, const char *lower_case)
{
    const size_t bytes = strlen(lower_case);
    return text.bytes == bytes && strncasecmp(text.at, lower_case, bytes) == 0;
}

struct media ql_receive_media(ql_str content_type)
{
    struct media media = { .type = media_take(&content_type, ';'), .proto = QL_STR("") };
    while (content_type.bytes > 0) {
        ql_str value = media_take(&content_type, ';');
        const ql_str name = media_take(&value, '=');
        if (ql_receive_is(name, "proto")) {
            media.proto = media_unquote(media_trim(value));
        }
    }
    return media;
}

ql_err ql_receive_encoding(ql_str content_encoding, enum ql_encoding *ret_encoding)
{
    static const struct { const char *name; enum ql_encoding encoding; } rows[] = {
        { "", QL_ENCODING_NONE }, { "identity", QL_ENCODING_NONE },
        { "snappy", QL_ENCODING_SNAPPY }, { "gzip", QL_ENCODING_GZIP },
        { "x-gzip", QL_ENCODING_GZIP }, { "zstd", QL_ENCODING_ZSTD },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        if (ql_receive_is(media_trim(content_encoding), rows[i].name)) {
            *ret_encoding = rows[i].encoding;
            return QL_OK;
        }
    }
    return QL_E_UNSUPPORTED;
}

static ql_err media_refuse(struct media_verdict *verdict, enum ql_reason reason, const char *why)
{
    verdict->reason = reason;
    verdict->why = why;
    return QL_E_UNSUPPORTED;
}

static ql_err media_judge_write(const struct media *media, const struct media_headers *headers,
                                struct media_verdict *v)
{
    if (ql_receive_is(media->proto, "io.prometheus.write.v2.request")) {
        return media_refuse(v, QL_REASON_CONTENT_TYPE,
                            "remote write 2.0 (io.prometheus.write.v2.Request) is not taken; "
                            "send 1.0 (application/x-protobuf, prometheus.WriteRequest)");
    }
    /* Without a type only the snappy header tells that this is remote write. */
    const bool typed = ql_receive_is(media->type, "application/x-protobuf") &&
                       (media->proto.bytes == 0 ||
                        ql_receive_is(media->proto, "prometheus.writerequest"));
    const bool untyped = media->type.bytes == 0 && headers->content_encoding.bytes > 0;
    if (!typed && !untyped) {
        return media_refuse(v, QL_REASON_CONTENT_TYPE,
                            "Content-Type of remote write must be application/x-protobuf "
                            "(prometheus.WriteRequest)");
    }
    if (headers->content_encoding.bytes == 0) {
        v->encoding = QL_ENCODING_SNAPPY; /* what the specification says to assume */
    }
    if (v->encoding != QL_ENCODING_SNAPPY && v->encoding != QL_ENCODING_ZSTD) {
        return media_refuse(v, QL_REASON_ENCODING,
                            "Content-Encoding of remote write must be snappy (or zstd)");
    }
    v->format = QL_FORMAT_PROTOBUF;
    return QL_OK;
}

static ql_err media_judge_otlp(const struct media *media, struct media_verdict *v)
{
    if (ql_receive_is(media->type, "application/x-protobuf")) {
        v->format = QL_FORMAT_PROTOBUF;
    } else if (ql_receive_is(media->type, "application/json")) {
        v->format = QL_FORMAT_JSON;
    } else {
        return media_refuse(v, QL_REASON_CONTENT_TYPE,
                            "Content-Type of OTLP must be application/x-protobuf or "
                            "application/json");
    }
    if (v->encoding == QL_ENCODING_SNAPPY) {
        return media_refuse(v, QL_REASON_ENCODING,
                            "Content-Encoding of OTLP must be gzip, zstd or none");
    }
    return QL_OK;
}

static ql_err media_judge_json(const struct media *media, struct media_verdict *v)
{
    if (!ql_receive_is(media->type, "application/json")) {
        return media_refuse(v, QL_REASON_CONTENT_TYPE, "Content-Type must be application/json");
    }
    if (v->encoding == QL_ENCODING_SNAPPY) {
        return media_refuse(v, QL_REASON_ENCODING, "Content-Encoding must be gzip, zstd or none");
    }
    v->format = QL_FORMAT_JSON;
    return QL_OK;
}

ql_err ql_receive_judge_media(enum ql_door door, const struct media_headers *headers,
                              struct media_verdict *ret_verdict)
{
    const struct media media = ql_receive_media(headers->content_type);
    struct media_verdict v = { .door = door, .encoding = QL_ENCODING_NONE,
                               .format = ql_receive_is(media.type, "application/x-protobuf")
                                             ? QL_FORMAT_PROTOBUF
                                             : QL_FORMAT_JSON };
    ql_err err = ql_receive_encoding(headers->content_encoding, &v.encoding);
    if (err != QL_OK) {
        err = media_refuse(&v, QL_REASON_ENCODING,
                           "Content-Encoding must be one of snappy (remote write), gzip, zstd");
        *ret_verdict = v;
        return err;
    }
    /* Coroot's agents send remote write to the OTLP path. */
    if (door == QL_DOOR_OTLP_METRICS && v.encoding == QL_ENCODING_SNAPPY &&
        headers->write_version.bytes > 0) {
        v.door = QL_DOOR_REMOTE_WRITE;
    }
    switch (v.door) {
    case QL_DOOR_REMOTE_WRITE: err = media_judge_write(&media, headers, &v); break;
    case QL_DOOR_OTLP_METRICS:
    case QL_DOOR_OTLP_LOGS:
    case QL_DOOR_OTLP_TRACES: err = media_judge_otlp(&media, &v); break;
    default: err = media_judge_json(&media, &v); break;
    }
    *ret_verdict = v;
    return err;
}
