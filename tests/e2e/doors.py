"""The doors: something good for each, and how to see that it is there."""
import dataclasses
import json
import re
import time

from bodies import (JSON, PB, field, logs_json, logs_pb, metrics_json, metrics_pb, snappy_literal, traces_json,
                    traces_pb, write_request)
from harness import SETTLE_S, wait_until

WRITE = {"Content-Type": PB, "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}


class Clock:
    """Now in milliseconds, and never the same twice: of two samples of one time the second is refused."""

    def __init__(self):
        self.last = 0

    def __call__(self):
        self.last = max(self.last + 1, int(time.time() * 1000))
        return self.last


now_ms = Clock()


def write_good(mark):
    return WRITE, write_request([({"__name__": "good_write"}, [(now_ms(), mark)])])


def otlp_good(as_json, as_pb):
    """One mark as JSON, the next as protobuf."""
    def good(mark):
        return ({"Content-Type": PB}, as_pb(mark)) if mark % 2 else ({"Content-Type": JSON}, as_json(mark))
    return good


def otlp_name(mark):
    """The marks 0 and 1 are sent somewhere in between: in the same series they would be out of order."""
    return "good_otlp" if mark > 1 else f"between{mark}"


def json_good(make):
    return lambda mark: ({"Content-Type": JSON}, json.dumps(make(mark)).encode())


def values_of(series):
    """As they came: a series that only rises may be taken for a counter, and its band is of its rate."""
    def found(quell):
        rows = quell.get("/api/v1/query", query=f"{series}[1h]")["data"]["result"]
        return {int(float(value)) for row in rows for _, value in row["values"]}
    return found


def services_of(metric):
    """Of which services there is a sample."""
    question = f'count_over_time({metric}{{service=~"good[0-9]+"}}[1h])'
    return lambda quell: {int(row["metric"]["service"][4:])
                          for row in quell.get("/api/v1/query", query=question)["data"]["result"]}


def names_of(path, key, **more):
    return lambda quell: {int(row[key][4:]) for row in quell.get(f"/api/v1/{path}", limit=10000, **more)[path]
                          if re.fullmatch("good[0-9]+", row[key])}


@dataclasses.dataclass
class Door:
    source: str
    path: str
    good: object   # mark -> (headers, plain body)
    there: object  # quell -> the marks that are there
    status: int = 200


DOORS = [
    Door("remote_write", "/api/v1/write", write_good, values_of("good_write"), 204),
    Door("otlp_metrics", "/v1/metrics",
         otlp_good(lambda m: metrics_json(otlp_name(m), [(now_ms() / 1000, m)]),
                   lambda m: metrics_pb(otlp_name(m), now_ms() / 1000, m)), values_of("good_otlp")),
    Door("otlp_logs", "/v1/logs",
         otlp_good(lambda m: logs_json(f"good{m}", time.time()), lambda m: logs_pb(f"good{m}", time.time())),
         services_of("log_records_per_second")),
    Door("otlp_traces", "/v1/traces",
         otlp_good(lambda m: traces_json(f"good{m}", time.time()), lambda m: traces_pb(f"good{m}", time.time())),
         services_of("service_requests_per_second")),
    Door("alerts", "/api/v2/alerts", json_good(lambda m: [{"labels": {"alertname": f"good{m}", "service": "a"}}]),
         names_of("alerts", "name", state="all")),
    Door("changes", "/api/v1/changes", json_good(lambda m: {"service": "a", "summary": f"good{m}"}),
         names_of("changes", "summary")),
]
DOOR = {door.source: door for door in DOORS}


def packed(headers, plain):
    return snappy_literal(plain) if headers.get("Content-Encoding") == "snappy" else plain


def padded(headers, plain, size):
    """As large as that, and as right as before: white space, or a field that nobody knows."""
    more = size - len(plain)
    if headers["Content-Type"] == JSON:
        return plain + b" " * more
    return plain + field(15, bytes(2 * more - len(field(15, bytes(more)))))


def all_there(quell, marks):
    for door in DOORS:
        wait_until(f"what was good at the door {door.source} is there",
                   lambda door=door: not marks[door.source] - door.there(quell), SETTLE_S, 0.5)
