"""The OpenTelemetry JavaScript SDK (npm), exporting as it would to any collector."""
import json
import os
import subprocess

from harness import HERE, Skipped, check, need, wait_until


def modules():
    """The SDK's packages as locked; installed once."""
    if os.path.isdir(os.path.join(HERE, "node_modules", "@opentelemetry")):
        return
    done = subprocess.run([need("npm"), "ci", "--no-audit", "--no-fund", "--silent"], cwd=HERE,
                          capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise Skipped(f"npm ci: {done.stderr.strip()[-300:]}")


def export(quell, exporter):
    node = need("node")
    modules()
    done = subprocess.run([node, os.path.join(HERE, "otel.mjs"), exporter, quell.url],
                          capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, f"otel.mjs: {done.returncode} {done.stdout} {done.stderr}")
    return json.loads(done.stdout)


def otel_check(place, exporter):
    quell = place.quell()
    said = export(quell, exporter)
    check(said["exports"] == 3 and said["failed"] == 0, f"the SDK says {said}")
    selector = '{service_name="checkout"}'
    series = wait_until("its series are there", lambda: quell.series(selector))
    names = {s["metric"] for s in series}
    for wanted in ("orders_total", "queue_depth", "order_duration_seconds_count"):
        check(wanted in names, f"{wanted} is not among {sorted(names)}")
    types = {s["metric"]: s["type"] for s in series}
    check(types["orders_total"] == "counter", f"orders_total is a {types['orders_total']}")
    check(types["queue_depth"] == "gauge", f"queue_depth is a {types['queue_depth']}")
    entities = {s["entity"] for s in series}
    check(entities == {"service/checkout"}, f"entities {entities}")
    depth = wait_until("a point of it", lambda: quell.points(
        'queue_depth{service_name="checkout"}')[0])
    check(depth[-1][1] == 7, f"queue_depth is {depth}")
    check(quell.dropped("otlp_metrics") == 0, "data points were dropped")
    return f"{quell.accepted('otlp_metrics'):.0f} data points"


def otel_js_json(place):
    return otel_check(place, "http")


def otel_js_protobuf(place):
    return otel_check(place, "proto")


CASES = [otel_js_json, otel_js_protobuf]
