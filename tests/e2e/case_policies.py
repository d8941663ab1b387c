"""Policies: explained by `check`, taken by SIGHUP for series that are known, held back and counted."""
import json
import subprocess
import time

from case_life import gauge
from harness import check, wait_until

SERIES = 'queue_depth{service="checkout"}'
POLICIES = """policies:
  - name: everything
    match: '{}'
    importance: low
  - name: depth
    match: '{__name__="queue_depth"}'
    valid_range: [0, 500]
"""


def explained(place):
    """check --explain SERIES says which policies apply and who set what; a mistake has its place."""
    good = place.write("good.yaml", POLICIES)
    said = subprocess.run([place.binary, "check", "--explain", SERIES, good], capture_output=True, text=True)
    check(said.returncode == 0, said.stderr)
    for line in ("applies: everything", "2 of 2 policies apply", "importance: low  (set by everything)",
                 "valid_range: [0, 500]  (set by depth)", "direction: both  (default)"):
        check(line in said.stdout, f"'{line}' is not in\n{said.stdout}")
    bad = place.write("bad.yaml", POLICIES.replace("valid_range", "valid_rang"))
    said = subprocess.run([place.binary, "check", bad], capture_output=True, text=True)
    check(said.returncode == 2 and ":7:5: unknown key 'valid_rang' in a policy; did you mean 'valid_range'?"
          in said.stderr, f"{said.returncode} {said.stderr}")
    return said.stderr.splitlines()[0].split(": ", 1)[1]


def reloaded(place):
    """A bound that arrives by SIGHUP holds for a known series; a mute after a change holds it back."""
    quell = place.quell("engine:\n  tick: 200ms\n  shards: 2\n")

    def send(value, service="checkout"):
        body = gauge("queue_depth", {"service": service}, [(time.time(), value)])
        check(quell.post("/v1/metrics", body)[0] == 200, "a sample")

    def bounds(service):
        return [s for s in quell.get("/api/v1/signals")["signals"]
                if s["kind"] == "out of bounds" and service in json.dumps(s)]

    for value in (900, 901):
        send(value)
        quell.settled()
    check(not bounds("checkout"), "a signal without any policy")
    quell.reload(POLICIES.replace("[0, 500]", "[500, 0]"), "the range is empty")
    send(902)
    quell.settled()
    check(not bounds("checkout"), "a refused file took effect")
    quell.reload(POLICIES, "configuration reloaded")
    send(903)
    seen = wait_until("the bound's signal", lambda: bounds("checkout"), 30)
    check("policy depth" in seen[0]["why"], f"{seen[0]['why']}")
    check(not quell.get("/api/v1/incidents")["incidents"], "a signal of low importance opened an incident")
    quell.reload(POLICIES + "    importance: high\n    mute_after_change: 1h\n", "configuration reloaded")
    send(903, "cart")
    wait_until("another service is not muted", lambda: bounds("cart"), 30)
    wait_until("its incident", lambda: quell.get("/api/v1/incidents")["incidents"], 30)
    change = {"kind": "deploy", "entity": "service/search", "summary": "search 2.0"}
    check(quell.post("/api/v1/changes", json.dumps(change).encode())[0] in (200, 201, 202), "a change")
    for _ in range(2):  # the core tells the shards of it with its next tick
        quell.settled()
    send(903, "search")
    quell.settled()
    check(quell.metric("ql_detect_held_total", reason="change") >= 1, "the held signal is not counted")
    check(not bounds("search"), "a muted signal was told")
    return seen[0]["why"]


CASES = [explained, reloaded]
