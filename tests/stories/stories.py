"""Stories of days and weeks, told to a real daemon whose time follows the samples.

Each posts its life hour by hour through the OTLP door and looks at what was raised. Noise is
seeded, so a story is the same every time.
"""
import json
import math
import random
import subprocess
from signal import SIGKILL

import case_capacity
from case_life import gauge
from harness import Quell, check, seconds, wait_until

MONDAY = 1767571200 # 2026-01-05, a Monday
HOUR, DAY, WEEK = 3600, 86400, 604800
ENDED = object() # instead of a value: the sender says that the series ended


class Told(Quell):
    """One whose time follows the samples."""

    def __init__(self, place, config=""):
        super().__init__(place, config, clock="input")

    def live(self, begin, end, step, series, chunk=HOUR, after=None):
        """series: (name, labels, value of a time, None for silence or ENDED). Sent once a chunk, as
        a gauge, or a counter where the name ends in _total."""
        for hour in range(begin, end, chunk):
            metrics = []
            for name, labels, value in series:
                points = [(at, value(at)) for at in range(hour, min(hour + chunk, end), step)]
                points = [point for point in points if point[1] is not None]
                if points:
                    one = json.loads(gauge(name, labels, [(at, 0 if value is ENDED else value) for at, value in points]))
                    sent = one["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"]
                    for point in [point for point, told in zip(sent, points) if told[1] is ENDED]:
                        del point["asDouble"]
                        point["flags"] = 1 # no recorded value: a stale marker
                    metric = one["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]
                    if name.endswith("_total"):
                        metric["sum"] = {**metric.pop("gauge"), "aggregationTemporality": 2, "isMonotonic": True}
                    metrics.append(metric)
            body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()
            status, _, text = self.post("/v1/metrics", body)
            check(status == 200 and b"rejected" not in text.lower(), f"at {hour}: {status} {text[:300]!r}")
            if after:
                after(hour)

    def signals(self, **filters):
        return self.get("/api/v1/signals", limit=500, **filters)["signals"]


def onset(signal):
    return seconds(signal["onset"])


def noise(seed):
    """Normal noise that is a function of time alone."""
    return lambda at: random.Random(f"{seed}/{at}").gauss(0, 1)


def weekly_peak(place):
    """Monday 09:00 in week 3 is silent, and the same peak on Sunday is not."""
    quell, rough, step = Told(place), noise(1), 300
    sunday = MONDAY + 2 * WEEK + 6 * DAY

    def backup(at):
        monday = (at - MONDAY) % WEEK // HOUR == 9
        odd = sunday + 9 * HOUR <= at < sunday + 10 * HOUR
        return 100 + 4 * rough(at) + (300 if monday or odd else 0)
    end = MONDAY + 3 * WEEK
    quell.live(MONDAY, end, step, [("queue_depth", {"service": "batch"}, backup)])
    quell.settled()
    weeks = {0: 0, 1: 0, 2: 0}
    on_sunday = 0
    for signal in quell.signals():
        since = onset(signal) - MONDAY
        weeks[since // WEEK] += since % WEEK < DAY
        on_sunday += onset(signal) >= sunday
    check(weeks[0] >= 1, f"the first Monday was not seen: {weeks}")
    check(weeks[2] == 0, f"the third Monday was raised: {quell.signals()}")
    check(on_sunday == 1, f"{on_sunday} signals on Sunday: {quell.signals()}")
    return f"Mondays {weeks}, Sunday {on_sunday}"


def rotated_disk(place):
    """A disk that is cleaned up every night raises nothing once two nights were seen."""
    quell, rough, step = Told(place), noise(2), 300
    end = MONDAY + 10 * DAY
    quell.live(MONDAY, end, step, [
        ("disk_used", {"host": "a"}, lambda at: 30 + 55 * (at % DAY) / DAY + 0.3 * rough(at)),
        ("disk_limit", {"host": "a"}, lambda at: 100)])
    quell.settled()
    # Also of what is sent in bulk every sixteenth value keeps its band.
    kept = sum(len(series["bands"]) for at in range(end - 4 * DAY, end, DAY) for series in quell.get(
        "/api/v1/bands", **{"match[]": "disk_used", "start": at, "end": at + DAY - 1, "max_points": 2000})["series"])
    check(kept >= 4 * 288 // 16 - 4, f"{kept} bands of four days")
    late = [s for s in quell.signals() if onset(s) > MONDAY + 2 * DAY]
    check(len(late) == 0, f"{late}")
    return f"{len(quell.signals())} in the first two days, none in eight"


def a_leak_is_one_signal_hours_before(place):
    """A leak is called hours before: one signal for what will be full, and one for each other
    thing of which that is true; what a policy switches off is held."""
    quell, leak = case_capacity.Looking(place, case_capacity.SETTINGS), case_capacity.LEAK_FROM
    for hour in range(case_capacity.DAYS * 24 + 6):
        begin, before = case_capacity.START + hour * HOUR, quell.passes()
        status, _, text = quell.post("/v1/metrics", case_capacity.all_of_it(begin, begin + HOUR))
        check(status == 200, f"hour {hour}: {status} {text!r}")
        if hour < 128:
            continue  # it looks when it likes to
        wait_until("it looked ahead", lambda: quell.passes() > before, 60)
        quell.settled()
        if begin < leak:
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
    opened = onset(by_name["pool_used"])
    full = leak + (95 - 40) / 2 * HOUR
    check(full - opened > 8 * HOUR, f"since {opened}, full about {full}")
    return f"{(full - opened) / HOUR:.1f} h before: {by_name['pool_used']['why']}"


def stopped_service(place):
    """A service that stops is absent, not normal: the silence is a signal that stays open.
    Sent at every step: who always sends in bulk is not silent between."""
    quell, rough, step = Told(place), noise(3), 60
    stop = MONDAY + 3 * HOUR
    end = stop + HOUR
    quell.live(MONDAY, end, step, [
        ("requests_in_flight", {"service": "cart"}, lambda at: 20 + rough(at) if at < stop else None),
        ("requests_in_flight", {"service": "shop"}, lambda at: 50 + 2 * rough(at + 7))], chunk=step)
    quell.settled()
    signals = wait_until("the silence is told", lambda: [s for s in quell.signals() if s["kind"] == "absence"])
    check(len(signals) == 1 and 'cart' in json.dumps(signals[0]["labels"]), f"{signals}")
    check(signals[0]["closed"] is None or signals[0]["closed"] is False, f"closed: {signals[0]}")
    check(len(quell.signals()) == 1, f"{quell.signals()}")
    return signals[0]["why"]


def rolled_deploy(place):
    """Pods that end and are replaced one after the other raise nothing; the whole service that
    ends is absent, and dated to its last values."""
    quell, step = Told(place), 60
    roll = MONDAY + 3 * HOUR
    gone = roll + HOUR
    end = gone + HOUR // 2

    def until(began, ended, rough):
        def value(at):
            return None if at < began or at > ended else ENDED if at == ended else 20 + rough(at)
        return value
    series = [("requests_in_flight", {"service": "shop"}, lambda at, rough=noise(6): 50 + 2 * rough(at))]
    for pod in range(3):
        old_ends = roll + 120 * (pod + 1)
        for name in ("requests_in_flight", "connections"):
            for pod_name, began, ended in ((f"old-{pod}", MONDAY, old_ends), (f"new-{pod}", old_ends + 90 // step * step, gone)):
                series.append((name, {"service": "cart", "pod": pod_name}, until(began, ended, noise(f"{name}-{pod_name}"))))
    quell.live(MONDAY, roll, step, series)
    quell.live(roll, gone, step, series, chunk=step)
    quell.settled()
    absent = [s for s in quell.signals() if s["kind"] == "absence"]
    check(not absent, f"{absent}")
    check(not quell.get("/api/v1/incidents")["incidents"], "an incident of a deploy")
    quell.live(gone, end, step, series, chunk=step)
    quell.settled()
    absent = wait_until("the end is told", lambda: [s for s in quell.signals() if s["kind"] == "absence"])
    check(sorted(s["labels"]["pod"] for s in absent) == ["new-0", "new-0", "new-1", "new-1", "new-2", "new-2"], f"{absent}")
    check(all(onset(s) == gone - step and s["closed"] is None for s in absent), f"{absent}")
    return absent[0]["why"]


def crash_loop(place):
    """Three deploys in a day, each of which restarts both pods, raise nothing. A pod in a crash loop
    is one signal, whatever the number of its counters, and one incident; it ends an hour after. The
    daemon is killed between the second restart and the third, and a replay finds the same."""
    quell, step = Told(place), 60
    loop = MONDAY + 26 * HOUR
    over = loop + 50 * 60
    end = over + 75 * 60
    restarts = {pod: [MONDAY + hour * HOUR + 180 * pod for hour in (4, 10, 16)] for pod in range(2)}
    restarts[1] += range(loop, over + 1, 600)

    def counter(name, pod, rate):
        rough = noise(f"{name}-{pod}")

        def value(at):
            since = at - max([MONDAY - DAY] + [one for one in restarts[pod] if one <= at])
            return round(max(0, rate * since + rate * 5 * max(-3, min(3, rough(at)))))
        return (name, {"service": "payment", "pod": f"payment-{pod}"}, value)
    series = [counter(name, pod, rate) for pod in range(2) for name, rate in
              (("requests_total", 20), ("sent_bytes_total", 9000), ("gc_runs_total", 2))]
    series.append(("requests_in_flight", {"service": "shop"}, lambda at, rough=noise(7): 50 + 2 * rough(at)))

    def resets():
        return [s for s in quell.signals() if s["kind"] == "reset"]
    quell.live(MONDAY, loop, step, series)
    quell.settled()
    check(not resets(), f"of three deploys: {resets()}")
    check(not quell.get("/api/v1/incidents")["incidents"], "an incident of a deploy")
    quell.live(loop, loop + 900, step, series, chunk=step)
    quell.program.stop(SIGKILL)
    quell.start()
    quell.live(loop + 900, over + step, step, series, chunk=step)
    quell.settled()
    told = wait_until("the loop is told", resets)
    check(len(told) == 1 and told[0]["closed"] is None and told[0]["labels"]["pod"] == "payment-1", f"{told}")
    check(onset(told[0]) == loop, f"{told}")
    incidents = wait_until("the incident", lambda: quell.get("/api/v1/incidents")["incidents"])
    check(len(incidents) == 1 and incidents[0]["entity"] == "service/payment", f"{incidents}")
    quell.live(over + step, end, step, series, chunk=step)
    quell.settled()
    wait_until("the loop is over", lambda: [s for s in resets() if s["closed"] is not None])
    check(len(resets()) == 1 and len(quell.get("/api/v1/incidents", state="all")["incidents"]) == 1, f"{resets()}")
    check(resets()[0]["last_value"] == 6, f"{resets()}")
    why = resets()[0]["why"]
    check(quell.program.stop() == 0, "a clean end")
    replay = subprocess.run([place.binary, "replay", quell.data], capture_output=True, text=True, timeout=300, check=False)
    check(replay.returncode == 0, replay.stdout + replay.stderr)
    return why


def no_op_day(place):
    """Forty series of five kinds of normal life: a day without events stays in the budget of false
    signals that is in force, and no incident comes of it."""
    quell, step = Told(place), 300
    kinds = [
        lambda at, z: 100 + 5 * z,
        lambda at, z: 50 * math.exp(0.3 * z),
        lambda at, z: 200 + 80 * math.sin(2 * math.pi * at / DAY) + 6 * z,
        lambda at, z: max(0, round(2 + 1.5 * z)),
        lambda at, z: 0.98 + 0.004 * z,
    ]

    def one(i):
        rough = noise(f"noop-{i}")
        return (f"metric_{i}", {"service": f"s{i % 8}"}, lambda at: kinds[i % 5](at, rough(at)))
    end = MONDAY + 3 * DAY
    quell.live(MONDAY, end, step, [one(i) for i in range(40)])
    quell.settled()
    last = [s for s in quell.signals() if onset(s) >= end - DAY]
    incidents = quell.get("/api/v1/incidents")["incidents"]
    check(not incidents, f"{incidents}")
    budget = quell.get("/api/v1/status")["false_alarms"]["budget_per_day"]
    check(0 < budget and len(last) <= budget, f"{len(last)} of a budget of {budget}: {last}")
    return f"{len(last)} of {budget:g} budgeted signals on the third day, no incident"


def shift_after_deploy(place):
    """A level shift after a deploy is one signal that names it."""
    quell, rough, step = Told(place), noise(4), 60
    noon = MONDAY + 12 * HOUR
    deploy = noon + 30

    def tell(begin):
        if begin == noon:
            status, _, text = quell.post("/api/v1/changes", json.dumps({
                "service": "cart", "kind": "deploy", "summary": "v42", "at": deploy}).encode())
            check(status in (200, 202, 204), f"{status} {text!r}")
    latency = ("latency_ms", {"service": "cart"}, lambda at: (120 if at >= deploy + 150 else 40) + 2 * rough(at))
    quell.live(MONDAY, noon, step, [latency])
    quell.live(noon, noon + 6 * HOUR, step, [latency], chunk=step, after=tell)
    quell.settled()
    signals = quell.signals()
    check(len(signals) == 1, f"one signal is wanted: {signals}")
    shift = signals[0]
    check((shift["metric"], shift["entity"], shift["kind"]) == ("latency_ms", "service/cart", "level shift"), f"{shift}")
    check(deploy < onset(shift) < deploy + 15 * 60, f"the deploy was at {deploy}: {shift}")
    check(shift["why"].endswith("after deploy v42"), shift["why"])
    return f"{shift['kind']}: {shift['why']}"


CASES = [weekly_peak, rotated_disk, a_leak_is_one_signal_hours_before, stopped_service, rolled_deploy,
         crash_loop, no_op_day, shift_after_deploy]
