"""What has a limit: a leak is foreseen hours before, a disk that is rotated every day is not."""
import json
import math
import subprocess

from case_life import gauge
from harness import Quell, check, wait_until

START, STEP, DAYS = 1767571200, 300, 6
LEAK_FROM = START + 5 * 86400 + 12 * 3600


class Recorded(Quell):
    """Its time follows the samples."""

    def start(self):
        self.program = self.place.run("quell", [
            self.place.binary, "serve", "--listen", f"127.0.0.1:{self.port}",
            "--data", self.data, "--clock", "input"])
        wait_until("quell is ready", self.ready, 10)


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
    quell = Recorded(place, "")
    called = None
    for hour in range(DAYS * 24):
        begin = START + hour * 3600
        status, _, text = quell.post("/v1/metrics", body(begin, begin + 3600))
        check(status == 200, f"hour {hour}: {status} {text!r}")
        if hour < 72 and hour % 24 != 20:
            continue
        wait_until("the hour is stored", lambda: any(
            p and p[-1][0] >= begin + 3600 - STEP
            for p in quell.points("disk_used", start=begin, end=begin + 3600)))
        found = ask(quell)
        check(found["disk_used"]["full"] <= 0.5, f"hour {hour}: {found['disk_used']}")
        if begin < LEAK_FROM:
            check(found["pool_used"]["full"] <= 0.5, f"hour {hour}: {found['pool_used']}")
        elif called is None and found["pool_used"]["full"] > 0.5:
            called = begin + 3600
    full = LEAK_FROM + (95 - 40) / 2 * 3600
    check(called is not None and full - called > 8 * 3600, f"called {called}, full about {full}")
    out = subprocess.run([place.binary, "capacity", "24h", "--url", quell.url],
                         capture_output=True, text=True, timeout=20, check=True).stdout
    check("pool_used" in out.splitlines()[1] and "recent" in out, out)
    steps = quell.get("/api/v1/forecast", **{"match[]": "disk_used", "horizon": "12h"})["series"][0]["steps"]
    check(len(steps) > 100 and all(s[4] <= s[1] <= s[5] for s in steps), str(steps[:3]))
    return f"{(full - called) / 3600:.1f} h before"


CASES = [leak_is_foreseen]
