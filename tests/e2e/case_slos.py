"""SLOs: a fast burn pages through remote write, silence and a restart change nothing, calm ends it."""
import json
import os
import signal
import subprocess
import sys

from case_promql import send
from harness import HERE, check, seconds, wait_until

START = 1767571200
SLOS = """engine:
  tick: 1s
  shards: 2
slos:
  - name: checkout answers
    target: 99.9
    bad: requests_total{service="checkout",code=~"5.."}
    total: requests_total{service="checkout"}
  - name: checkout is fast
    target: 99
    match: latency_ms{service="checkout"}
    above: 500
    entity: service/frontend
  - name: no such thing
    target: 99
    good: good_total
    total: all_total
"""


class Shop:
    """600 requests a minute, sampled every 30 s by remote write."""

    def __init__(self, quell):
        self.quell, self.at, self.good, self.failed = quell, START, 0, 0

    def labels(self, name, **more):
        return {"__name__": name, "service": "checkout", **more}

    def minutes(self, count, share=0.0, silent=False):
        for _ in range(count * 2):
            self.at += 30
            ms = self.at * 1000
            if silent:
                send(self.quell.url + "/api/v1/write", [({"__name__": "other"}, [(ms, 1)])])
                continue
            self.failed += round(300 * share)
            self.good += 300 - round(300 * share)
            send(self.quell.url + "/api/v1/write", [
                (self.labels("requests_total", code="200"), [(ms, self.good)]),
                (self.labels("requests_total", code="503"), [(ms, self.failed)]),
                (self.labels("latency_ms"), [(ms, 80)])])
        self.quell.settled()


def burns(quell, state="open"):
    return [s for s in quell.get("/api/v1/signals", state=state)["signals"] if s["kind"] == "burn rate"]


def slos(quell):
    return {slo["name"]: slo for slo in quell.get("/api/v1/slos")["slos"]}


def same_as_promql(quell):
    """What PromQL makes of the same samples, window by window."""
    slo = slos(quell)["checkout answers"]
    at = seconds(slo["at"])
    for window, burn in slo["burn_rate"].items():
        query = (f'sum(rate(requests_total{{code="503"}}[{window}])) / sum(rate(requests_total[{window}]))'
                 ' / (1 - 0.999)')
        answer = quell.get("/api/v1/query", query=query, time=at)["data"]["result"]
        want = float(answer[0]["value"][1])
        check(abs(burn - want) <= 0.03 * want, f"{window}: {burn}, PromQL says {want}")


def burn_pages(place):
    quell = place.quell(SLOS, clock="input")
    shop = Shop(quell)
    shop.minutes(90)
    check(not burns(quell, "all"), f"a burn without an error: {burns(quell, 'all')}")
    calm = slos(quell)
    check(list(calm) == ["checkout answers", "checkout is fast", "no such thing"], f"{calm}")
    check([slo["state"] for slo in calm.values()] == ["ok", "ok", "no data"], f"{calm}")
    check(calm["checkout is fast"]["entity"] == "service/frontend", f"{calm}")
    shop.minutes(4, share=0.5)
    page = wait_until("a page", lambda: [s for s in burns(quell) if s["labels"]["severity"] == "page"])[0]
    check(page["entity"] == "service/checkout", f"{page}")
    for part in ("SLO checkout answers: burn rate", "over 1h and", "over 5m (page at 14.4x)",
                 "% of the error budget of 30 d (target 99.9 %) is used, all of it in"):
        check(part in page["why"], page["why"])
    incident = wait_until("its incident", lambda: quell.get("/api/v1/incidents")["incidents"])[0]
    check(incident["entity"] == "service/checkout" and incident["state"] == "open", f"{incident}")
    check(incident["title"].startswith("checkout: SLO checkout answers burn rate"), incident["title"])
    members = quell.get(f"/api/v1/incidents/{incident['id']}")["members"]
    check(any(m["why"] == "opened the incident: an error budget burns" for m in members), f"{members}")

    same_as_promql(quell)
    shop.minutes(12, silent=True)
    quell.program.stop(signal.SIGKILL)
    quell.start()
    shop.minutes(8, silent=True)
    check({s["id"] for s in burns(quell)} >= {page["id"]}, "silence or a restart ended the burn")
    said = subprocess.run([place.binary, "slos", "--url", quell.url], capture_output=True, text=True)
    check(said.returncode == 0 and "checkout answers" in said.stdout and " page " in said.stdout, said.stdout)
    said = subprocess.run([place.binary, "slos", "-o", "json", "--url", quell.url], capture_output=True, text=True)
    state = json.loads(said.stdout)["slos"][0]
    check(state["state"] == "page" and 0 < state["budget_left"] < 1 and state["bad"] == 1200, f"{state}")

    shop.minutes(12)
    wait_until("the page is over", lambda: page["id"] not in {s["id"] for s in burns(quell)})
    check(quell.metric("ql_slo_burn_rate_milli", slo="checkout answers", window="5m") == 0, "calm")
    left = quell.metric("ql_slo_budget_left_ppm", slo="checkout answers")
    check(800000 < left < 1000000, f"{left}")
    check(quell.metric("ql_slo_dropped_total", what="parts") == 0, "parts were dropped")
    held = subprocess.run([sys.executable, os.path.join(HERE, "openapi_check.py"), quell.url],
                          capture_output=True, text=True)
    check(held.returncode == 0, held.stdout + held.stderr)
    return page["why"]


HELD = """policies:
  - name: works
    match: '{slo="checkout answers"}'
    mute: ["2026-01-05 01:00-01:45"]
  - name: tickets
    match: '{__name__="slo_burn_rate",severity="ticket"}'
    detector: off
"""


def burn_is_held(place):
    """A window holds the page over a crash, shown and counted; it is told when the window ends."""
    quell = place.quell(SLOS + HELD, clock="input")
    shop = Shop(quell)
    shop.minutes(90)
    shop.minutes(5, share=0.5)
    wait_until("the state says so", lambda: slos(quell)["checkout answers"]["state"] == "held")
    said = subprocess.run([place.binary, "slos", "--url", quell.url], capture_output=True, text=True)
    check(said.returncode == 0 and " held " in said.stdout, said.stdout + said.stderr)
    held = {policy: quell.metric("ql_detect_held_total", kind="burn rate", policy=policy)
            for policy in ("works", "tickets")}
    check(held == {"works": 1, "tickets": 1}, f"{held}")
    quell.program.stop(signal.SIGKILL)
    quell.start()
    shop.minutes(7, share=0.5)
    check(not burns(quell, "all"), f"told in the window: {burns(quell, 'all')}")
    shop.minutes(5, share=0.5)
    page = wait_until("a page", lambda: burns(quell))
    check([s["labels"]["severity"] for s in page] == ["page"], f"{page}")
    check(page[0]["importance"] == "critical" and page[0]["onset"] == "2026-01-05T01:30:00.000Z", f"{page}")
    check(quell.metric("ql_detect_told_late_total") == 1, "it is not counted as told late")
    said = subprocess.run([place.binary, "signals", "--url", quell.url], capture_output=True, text=True)
    check("IMPORTANCE" in said.stdout and "critical" in said.stdout, said.stdout)
    incident = wait_until("its incident", lambda: quell.get("/api/v1/incidents")["incidents"])[0]
    said = subprocess.run([place.binary, "show", str(incident["id"]), "--url", quell.url],
                          capture_output=True, text=True)
    check("IMPORTANCE" in said.stdout and "critical" in said.stdout, said.stdout)
    check(quell.program.stop() == 0, "a clean end")
    replay = subprocess.run([place.binary, "replay", quell.data], capture_output=True, text=True, timeout=300)
    check(replay.returncode == 0, replay.stdout + replay.stderr)
    return page[0]["why"]


SPANS = """engine:
  tick: 1s
slos:
  - name: spans
    target: 99
    bad: service_errors_per_second{service="cart"}
    total: service_requests_per_second{service="cart"}
"""


def spans_burn(place):
    """The rates that quell makes of spans count as events."""
    quell = place.quell(SPANS, clock="input")
    for step in range(60 * 6):
        at, spans = START + step * 10, []
        for i in range(10):
            failed = step >= 50 * 6 and i < 5
            ns = (at * 1000 + i * 900) * 1000000
            spans.append({"traceId": f"{step:016x}{i:016x}", "spanId": f"{step:08x}{i + 1:08x}", "name": "GET /cart",
                          "kind": 2, "startTimeUnixNano": str(ns), "endTimeUnixNano": str(ns + 1000000),
                          "status": {"code": 2 if failed else 1}})
        body = {"resourceSpans": [{"resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "cart"}}]}, "scopeSpans": [{"spans": spans}]}]}
        status, _, text = quell.post("/v1/traces", json.dumps(body).encode())
        check(status == 200, f"{status} {text!r}")
    quell.settled()
    check(burns(quell), "no ticket")
    slo = slos(quell)["spans"]
    check(slo["entity"] == "service/cart" and slo["state"] == "ticket", f"{slo}")
    lasted = seconds(slo["at"]) - START
    total, bad = lasted, (lasted - 3000) / 2
    check(lasted >= 3480 and abs(slo["bad"] - bad) <= 6 and abs(slo["total"] - total) <= 11, f"{bad} of {total}: {slo}")
    return f"{slo['bad']:.0f} of {slo['total']:.0f} are bad, {bad:.0f} of {total:.0f} were sent"


CASES = [burn_pages, burn_is_held, spans_burn]
