"""What is wrong with a request, as rows: what is sent, what is answered, what is counted, what is kept."""
import dataclasses
import functools
import gzip
import json
import math
import struct
import time

from bodies import (JSON, PB, field, logs_json, metrics_json, snappy_literal, snappy_zeros, traces_json, write_request,
                    zstd_zeros)
from doors import WRITE, packed, padded

LIMIT = 1 << 20  # limits.body_max of the daemon that they are sent to
BOMB = 64 << 20
HOUR_OFF = 3700
STALE = struct.unpack("<d", struct.pack("<Q", 0x7ff0000000000002))[0]


@functools.lru_cache(None)
def started():
    return time.time()


@dataclasses.dataclass
class Row:
    what: str
    headers: dict
    body: bytes
    status: int      # None: the connection ends before an answer
    reason: str = None
    count: int = 1   # dropped for the reason
    kept: int = 0    # records that are in the journal all the same
    how: str = "post"
    method: str = "POST"
    source: str = None   # when it is not the door's


def size_rows(headers, plain, good):
    """Too large by what is announced, by what comes in chunks, and by what comes out."""
    gz = {**headers, "Content-Encoding": "gzip"}
    zst = {**headers, "Content-Encoding": "zstd"}
    rows = [
        Row("too large by its Content-Length", headers, LIMIT + 1, 413, "too_large", how="announce"),
        Row("too large, in chunks", headers, bytes(2 * LIMIT), 413, "too_large", how="chunks"),
        Row("a zstd bomb", zst, zstd_zeros(BOMB), 413, "too_large"),
        Row("zstd cut off", zst, zstd_zeros(100)[:-1], 400, "encoding"),
    ]
    if headers is WRITE:
        return rows + [
            Row("as large as is allowed", headers, snappy_zeros(LIMIT), 400, "malformed"),
            Row("one byte larger after decompression", headers, snappy_zeros(LIMIT + 1), 413, "too_large"),
            Row("a snappy bomb", headers, snappy_zeros(BOMB // 4), 413, "too_large"),
            Row("snappy that promises 4 GiB", headers, b"\xff\xff\xff\xff\x0f\0\0", 413, "too_large"),
            Row("snappy cut off", headers, snappy_literal(plain)[:-3], 400, "encoding"),
            Row("no snappy", headers, b"\xff" * 20, 400, "encoding"),
            Row("snappy with something behind it", headers, snappy_literal(plain) + b"\0x", 400, "encoding"),
        ]
    return rows + [
        Row("as large as is allowed", gz, gzip.compress(padded(headers, plain, LIMIT)), good, kept=1),
        Row("one byte larger after decompression", gz, gzip.compress(padded(headers, plain, LIMIT + 1)), 413,
            "too_large"),
        Row("a gzip bomb", gz, gzip.compress(bytes(BOMB)), 413, "too_large"),
        Row("gzip cut off", gz, gzip.compress(plain)[:-3], 400, "encoding"),
        Row("gzip with something behind it", gz, gzip.compress(plain) + b"x", 400, "encoding"),
        Row("no gzip", gz, plain, 400, "encoding"),
    ]


def common_rows(door, headers, plain):
    """What every door refuses alike; `plain` is right."""
    body = packed(headers, plain)
    other = "gzip" if headers is WRITE else "snappy"
    return size_rows(headers, plain, door.status) + [
        Row("cut off", headers, packed(headers, plain[:-3]), 400, "malformed"),
        Row("cut off by the end of the connection", headers, body, None, how="cut"),
        Row("a text", {**headers, "Content-Type": "text/plain"}, body, 415, "content_type"),
        Row("a form", {**headers, "Content-Type": "application/x-www-form-urlencoded"}, body, 415, "content_type"),
        Row("an encoding that nobody knows", {**headers, "Content-Encoding": "br"}, body, 415, "encoding"),
        Row("an encoding that is not this door's", {**headers, "Content-Encoding": other}, body, 415, "encoding"),
        Row("PUT", headers, body, 405, method="PUT"),
        Row("DELETE", headers, body, 405, method="DELETE"),
    ]


def write_rows():
    now = int(started() * 1000)
    good = ({"__name__": "beside_write"}, [(now, 1)])
    beside = iter(range(1000))

    def row(what, series, status, reason=None, **more):
        # A good series in the same request, each time another one.
        one = ({"__name__": "beside_write", "n": str(next(beside))}, [(now, 1)])
        more["kept"] = more.get("kept", 0) + 1
        return Row(what, WRITE, snappy_literal(write_request([one, series])), status, reason, **more)

    def bad(name, *samples, **labels):
        return {"__name__": f"bad_write_{name}", **labels}, list(samples)
    wide = {f"l{i}": "x" for i in range(64)}
    native = field(1, field(1, field(1, "__name__") + field(2, "native")) + field(4, b""))
    return [
        Row("remote write 2.0", {**WRITE, "Content-Type": f"{PB};proto=io.prometheus.write.v2.Request"},
            snappy_literal(write_request([good])), 415, "content_type"),
        Row("JSON", {**WRITE, "Content-Type": JSON}, snappy_literal(write_request([good])), 415, "content_type"),
        row("a label twice", ([("__name__", "twice"), ("a", "1"), ("a", "2")], [(now, 1), (now + 1, 2)]), 400,
            "duplicate_label", count=2),
        row("no name", ({"job": "a"}, [(now, 1)]), 400, "no_name"),
        row("65 labels", bad("wide", (now, 1), **wide), 400, "label_limit"),
        row("17,000 bytes of labels", bad("long", (now, 1), a="x" * 17000), 400, "label_limit"),
        row("a time beyond all times", bad("time", (1 << 62, 1)), 400, "bad_time"),
        Row("a native histogram", WRITE, snappy_literal(native), 400, "unsupported"),
        row("NaN, infinities and more than a number should be",
            bad("nan", (now, math.nan), (now + 1, math.inf), (now + 2, -math.inf), (now + 3, 1e200)), 204, "not_finite",
            count=4, kept=4),
        row("a stale marker", bad("stale", (now, 1), (now + 1, STALE)), 204, kept=2),
        row("the wrong order", bad("order", (now, 1), (now - 1000, 2)), 204, "too_old", kept=2),
        row("one time twice", bad("again", (now, 1), (now, 2)), 204, "duplicate", kept=2),
        row("an hour ahead", bad("ahead", (now + HOUR_OFF * 1000, 1)), 400, "too_far_ahead", kept=1),
        row("an hour behind", bad("behind", (now - HOUR_OFF * 1000, 1)), 400, "too_old", kept=1),
    ]


def metrics_rows():
    now = started()
    kinds = {"Content-Type": JSON}

    def row(what, name, points, status, reason=None, pairs=(), **more):
        return Row(what, kinds, metrics_json(name, points, pairs), status, reason, **more)
    histogram = metrics_json("native", [(now, None)], kind="exponentialHistogram")
    return [
        Row("remote write of Coroot, not snappy", WRITE, b"\xff" * 20, 400, "encoding", source="remote_write"),
        Row("not an object", kinds, b"[]", 400, "malformed"),
        Row("a list where an object should be", kinds, b'{"resourceMetrics":[[]]}', 400, "malformed"),
        Row("deeper than is read", kinds, b'{"a":' * 200 + b"1" + b"}" * 200, 400, "malformed"),
        row("no name", "", [(now, 1)], 200, "no_name"),
        row("no value", "bad_none", [(now, None), (now + 1, 1)], 200, "no_value", kept=1),
        row("a time beyond all times", "bad_time", [(2**33 * 2 + 1e9, 1)], 200, "bad_time"),
        row("65 attributes", "bad_wide", [(now, 1)], 200, "label_limit", [(f"a{i}", "x") for i in range(65)]),
        row("an attribute without a name", "bad_key", [(now, 1)], 200, "malformed", [("", "x")]),
        row("an attribute twice, which is joined", "bad_twice", [(now, 1)], 200, kept=1,
            pairs=[("a", "x"), ("a", "y")]),
        Row("an exponential histogram", kinds, histogram, 200, "unsupported", kept=1),
        row("NaN and an infinity", "bad_nan", [(now, "NaN"), (now + 1, "Infinity"), (now + 2, 1)], 200, "not_finite",
            count=2, kept=3),
        row("the wrong order", "bad_order", [(now, 1), (now - 1, 2)], 200, "too_old", kept=2),
        row("one time twice", "bad_again", [(now, 1), (now, 2)], 200, "duplicate", kept=2),
        row("an hour ahead", "bad_ahead", [(now + HOUR_OFF, 1)], 200, "too_far_ahead", kept=1),
        row("an hour behind", "bad_behind", [(now - HOUR_OFF, 1)], 200, "too_old", kept=1),
    ]


def logs_rows():
    now, kinds = started(), {"Content-Type": JSON}
    return [
        Row("not an object", kinds, b"7", 400, "malformed"),
        Row("a number where an object should be", kinds, b'{"resourceLogs":[5]}', 400, "malformed"),
        Row("a time beyond all times", kinds, logs_json("bad", now, timeUnixNano=str(2**64 - 1)), 200, "bad_time"),
        # Counted in the nearest window that is open: when it came is known, when it was is not believed.
        Row("an hour ahead", kinds, logs_json("bad", now + HOUR_OFF), 200, kept=1),
        Row("an hour behind", kinds, logs_json("bad", now - HOUR_OFF), 200, kept=1),
    ]


def traces_rows():
    now, kinds = started(), {"Content-Type": JSON}
    return [
        Row("not an object", kinds, b"null", 400, "malformed"),
        Row("a trace id that is none", kinds, traces_json("bad", now, traceId="01"), 200, "malformed"),
        Row("a trace id of zeros", kinds, traces_json("bad", now, traceId="00" * 16), 200, "malformed"),
        Row("a trace id that is no hex", kinds, traces_json("bad", now, traceId="zz" * 16), 200, "malformed"),
        Row("an end before the start", kinds, traces_json("bad", now, endTimeUnixNano="1"), 200, "bad_time"),
        Row("an hour ahead", kinds, traces_json("bad", now + HOUR_OFF), 200, kept=1),
        Row("an hour behind", kinds, traces_json("bad", now - HOUR_OFF), 200, kept=1),
    ]


def alert_rows():
    def row(what, one, status, reason=None, **more):
        text = one if isinstance(one, str) else json.dumps(one)
        more["kept"] = more.get("kept", 0) + 1
        beside = '{"labels": {"alertname": "beside"}}'
        return Row(what, {"Content-Type": JSON}, f"[{beside}, {text}]".encode(), status, reason, **more)

    def at(offset):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started() + offset))
    labels = {"alertname": "bad", "service": "bad"}
    return [
        Row("not a list", {"Content-Type": JSON}, b'{"labels":{"alertname":"A"}}', 400, "malformed"),
        row("no object", "7", 400, "malformed"),
        row("a label twice", '{"labels": {"alertname": "a", "alertname": "b"}}', 400, "duplicate_label"),
        row("a label that is no text", {"labels": {"alertname": 7}}, 400, "malformed"),
        row("no labels", {"labels": {}}, 400, "no_name"),
        row("65 labels", {"labels": {f"l{i}": "x" for i in range(65)}}, 400, "label_limit"),
        row("a time that is none", {"labels": labels, "startsAt": "yesterday"}, 400, "bad_time"),
        row("an end before the start", {"labels": labels, "startsAt": at(0), "endsAt": at(-60)}, 400, "bad_time"),
        row("an hour ahead", {"labels": labels, "startsAt": at(HOUR_OFF)}, 200, kept=1),
        row("an hour behind", {"labels": labels, "startsAt": at(-HOUR_OFF)}, 200, kept=1),
        row("NaN, which JSON does not have", '{"labels": {"alertname": NaN}}', 400, "malformed", kept=-1),
    ]


def change_rows():
    def row(what, one, status, reason=None, **more):
        text = one if isinstance(one, str) else json.dumps(one)
        more["kept"] = more.get("kept", 0) + 1
        return Row(what, {"Content-Type": JSON}, f'[{{"service": "beside"}}, {text}]'.encode(), status, reason, **more)
    return [
        Row("no object", {"Content-Type": JSON}, b"7", 400, "malformed"),
        row("a list in a list", "[]", 400, "malformed"),
        row("nothing is named", {"summary": "1.2"}, 400, "no_name"),
        row("a kind that is no text", {"service": "a", "kind": 7}, 400, "malformed"),
        row("a time that is none", {"service": "a", "at": "yesterday"}, 400, "bad_time"),
        row("an hour ahead", {"service": "a", "at": started() + HOUR_OFF}, 200, kept=1),
        row("an hour behind", {"service": "a", "at": started() - HOUR_OFF}, 200, kept=1),
    ]


def rows_of(door):
    rows = {"remote_write": write_rows, "otlp_metrics": metrics_rows, "otlp_logs": logs_rows,
            "otlp_traces": traces_rows, "alerts": alert_rows, "changes": change_rows}[door.source]()
    # What is right in `common_rows` is of the marks 0 and 1, which nobody else sends.
    kinds = [door.good(mark) for mark in ((0, 1) if door.source.startswith("otlp") else (0,))]
    return [row for headers, plain in kinds for row in common_rows(door, headers, plain)] + rows
