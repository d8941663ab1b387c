"""What has a limit: a leak is foreseen hours before, a disk that is rotated every day is not."""
import calendar
import json
import math
import subprocess
import time

from case_life import gauge
from harness import Quell, SmallDisk, check, wait_until

START, STEP, DAYS = 1767571200, 300, 6
LEAK_FROM = START + 5 * 86400 + 12 * 3600


def pool(at):
    rhythm = 3 * math.sin(2 * math.pi * at / 86400)
    return 40 + rhythm + max(0, at - LEAK_FROM) / 3600 * 2


def rotated(at):
    return 30 + 55 * (at % 86400) / 86400


def body(begin, end):
    times = range(begin, end, STEP)
    metrics = []
    for name, labels, value in (
            ("pool_used", {"service": "db"}, pool), ("pool_max", {"service": "db"}, lambda at: 100),
            ("disk_used", {"service": "log"}, rotated), ("disk_limit", {"service": "log"}, lambda at: 100)):
        one = json.loads(gauge(name, labels, [(at, value(at)) for at in times]))
        metrics += one["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()


def ask(quell):
    answer = quell.get("/api/v1/capacity", horizon="24h")
    return {one["metric"]: one for one in answer["limits"]}


def leak_is_foreseen(place):
    quell = place.quell(clock="input")
    called = None
    for hour in range(DAYS * 24):
        begin = START + hour * 3600
        status, _, text = quell.post("/v1/metrics", body(begin, begin + 3600))
        check(status == 200, f"hour {hour}: {status} {text!r}")
        if hour < 72 and hour % 24 != 20:
            continue
        quell.settled()
        found = ask(quell)
        check(found["disk_used"]["full"] <= 0.5, f"hour {hour}: {found['disk_used']}")
        if begin < LEAK_FROM:
            check(found["pool_used"]["full"] <= 0.5, f"hour {hour}: {found['pool_used']}")
        elif called is None and found["pool_used"]["full"] > 0.5:
            called = begin + 3600
    full = LEAK_FROM + (95 - 40) / 2 * 3600
    check(called is not None and full - called > 8 * 3600, f"called {called}, full about {full}")
    out = subprocess.run([place.binary, "capacity", "24h", "--url", quell.url],
                         capture_output=True, text=True, timeout=120, check=True).stdout
    check("pool_used" in out.splitlines()[1] and "recent" in out, out)
    steps = quell.get("/api/v1/forecast", **{"match[]": "disk_used", "horizon": "12h"})["series"][0]["steps"]
    check(len(steps) > 100 and all(s[4] <= s[1] <= s[5] for s in steps), str(steps[:3]))
    return f"{(full - called) / 3600:.1f} h before"


SETTINGS = """
forecast:
  every: 30m
resources:
  - {name: the most jobs that wait, match: 'queue_depth{service="jobs"}', limit: 100}
policies:
  - {name: jobs, match: 'queue_depth', importance: low}
  - {name: scratch, match: scratch_used, detector: off}
"""
CERTIFICATE_END = START + 6 * 86400 + 2 * 3600


class Looking(Quell):
    """One whose time follows the samples and that looks ahead by itself."""

    def __init__(self, place, config):
        super().__init__(place, config, clock="input")

    def passes(self):
        return self.metric("ql_lookahead_passes_total")

    def exhaustions(self):
        return [s for s in self.get("/api/v1/signals", limit=500)["signals"]
                if s["kind"] == "exhaustion"]


def all_of_it(begin, end):
    one = json.loads(body(begin, end))
    metrics = one["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    times = range(begin, end, STEP)
    for name, labels, value in (
            ("queue_depth", {"service": "jobs"}, pool),
            ("scratch_used", {"service": "scratch"}, pool),
            ("scratch_max", {"service": "scratch"}, lambda at: 100),
            ("quiet_used", {"service": "calm"}, lambda at: 40 + 5 * math.sin(at / 7000)),
            ("quiet_max", {"service": "calm"}, lambda at: 100),
            ("probe_ssl_earliest_cert_expiry", {"service": "web"}, lambda at: CERTIFICATE_END)):
        more = json.loads(gauge(name, labels, [(at, value(at)) for at in times]))
        metrics += more["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    return json.dumps(one).encode()


def a_leak_is_one_signal_hours_before(place):
    quell = Looking(place, SETTINGS)
    for hour in range(DAYS * 24 + 6):
        begin, before = START + hour * 3600, quell.passes()
        status, _, text = quell.post("/v1/metrics", all_of_it(begin, begin + 3600))
        check(status == 200, f"hour {hour}: {status} {text!r}")
        if hour < 128:
            continue  # it looks when it likes to
        wait_until("it looked ahead", lambda: quell.passes() > before, 60)
        quell.settled()
        if begin < LEAK_FROM:
            check(not [s for s in quell.exhaustions() if "expiry" not in s["metric"]],
                  f"hour {hour}: {quell.exhaustions()}")
    found = wait_until("three signals", lambda: quell.exhaustions() if len(quell.exhaustions()) >= 3 else None)
    names = sorted(s["metric"] for s in found)
    check(names == ["pool_used", "probe_ssl_earliest_cert_expiry", "queue_depth"], str(found))
    by_name = {s["metric"]: s for s in found}
    for name, part in (("pool_used", "(pool_max)"), ("queue_depth", "(the most jobs that wait)")):
        why = by_name[name]["why"]
        check(part in why and "90 % by 2026-01-1" in why and " times" in why, why)
    check(by_name["queue_depth"]["importance"] == "low" and "(importance low, policy jobs)" in
          by_name["queue_depth"]["why"] and by_name["pool_used"]["importance"] == "normal", str(found))
    held = quell.metric("ql_detect_held_total", kind="exhaustion", policy="scratch", reason="detector")
    check(held == 1, f"{held} exhaustion signals were held, not one")
    check("will expire at 2026-01-11T02:00:00" in by_name["probe_ssl_earliest_cert_expiry"]["why"],
          by_name["probe_ssl_earliest_cert_expiry"]["why"])
    check(quell.program.stop() == 0, "a clean end")
    replay = subprocess.run([place.binary, "replay", quell.data], capture_output=True, text=True,
                            timeout=300, check=False)
    check(replay.returncode == 0, replay.stdout + replay.stderr)
    opened = calendar.timegm(time.strptime(by_name["pool_used"]["onset"][:19], "%Y-%m-%dT%H:%M:%S"))
    full = LEAK_FROM + (95 - 40) / 2 * 3600
    check(full - opened > 8 * 3600, f"since {opened}, full about {full}")
    return f"{(full - opened) / 3600:.1f} h before: {by_name['pool_used']['why']}"


def limits_are_reloaded(place):
    """SIGHUP: another limit is known to the look-ahead and to who asks, without a restart; a file
    that is wrong, or that a full disk refuses, changes nothing at all."""
    with SmallDisk(place, "64m") as disk:
        quell = Looking(place, SETTINGS)
        disk.move_in(quell)

        def send(begin, hours):
            for hour in range(hours):
                at = begin + hour * 3600
                check(quell.post("/v1/metrics", all_of_it(at, at + 3600))[0] == 200, f"hour {hour}")
            quell.settled()

        def reload(limit, wanted, match="queue_depth"):
            text = SETTINGS.replace("limit: 100", f"limit: {limit}")
            text = text.replace("'queue_depth{", f"'{match}{{")  # of the resource alone
            quell.reload(text + "# a line that fills a journal\n" * 4000, wanted)

        def known():
            return ask(quell)["queue_depth"]["limit"]

        send(START, 30)
        check(known() == 100, f"the first limit: {known()}")
        reload(250, "is no selector", match="queue{depth")
        check(known() == 100, f"a wrong file changed the limit to {known()}")
        before = quell.passes()
        reload(250, "configuration reloaded")
        check(known() == 250, f"the API still knows {known()}")
        send(START + 30 * 3600, 1)
        wait_until("it looks ahead by the new settings", lambda: quell.passes() > before, 60)
        disk.fill()
        reload(900, "configuration not reloaded; the old one stays in force")
        check(known() == 250, f"a full disk refused the file, and the limit is {known()}")
        disk.empty()
        wait_until("it is ready again", quell.ready)
        reload(900, "configuration reloaded")
        check(known() == 900, f"with room the limit is {known()}")
        check(quell.program.stop() == 0, "a clean end")


CASES = [leak_is_foreseen, a_leak_is_one_signal_hours_before, limits_are_reloaded]
