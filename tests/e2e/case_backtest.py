"""Backtest: a week of history with a fault, judged again under the same and under other settings."""
import json
import math
import random
import subprocess
import time

from harness import check, wait_until

DAY_S, STEP_S, DAYS = 86400, 60, 4
CONFIG = "limits:\n  sample_behind_max: 30d\ndetect:\n  signals_per_day: 10\n"
SEED = 20260105


def send(quell, start, end, fault):
    """Three services' latencies; one of them is bad from `fault` on for 40 minutes."""
    rng = random.Random(SEED)
    for first in range(start, end, 6 * 3600):
        metrics = []
        for service in ("cart", "checkout", "mail"):
            points = []
            for at in range(first, min(first + 6 * 3600, end), STEP_S):
                value = 120 + 20 * math.sin(at / DAY_S * 2 * math.pi) + rng.gauss(0, 3)
                if service == "checkout" and fault <= at < fault + 2400:
                    value += 900
                points.append({"timeUnixNano": str(at * 1000000000), "asDouble": value, "attributes": [
                    {"key": "service", "value": {"stringValue": service}}]})
            metrics.append({"name": "latency_ms", "gauge": {"dataPoints": points}})
        body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()
        check(quell.post("/v1/metrics", body)[0] == 200, "history is taken")


def backtest(place, *arguments):
    done = subprocess.run([place.binary, "backtest", *arguments], capture_output=True, text=True,
                          timeout=240, check=False)
    return done.returncode, done.stdout, done.stderr


def same_and_other_settings(place):
    """The same settings do the same on both sides; blind ones raise nothing and miss the fault."""
    quell = place.quell(CONFIG)
    now = int(time.time()) // STEP_S * STEP_S
    start, fault = now - DAYS * DAY_S, now - 6 * 3600
    send(quell, start, now, fault)
    wait_until("all samples are judged",
               lambda: quell.accepted("otlp_metrics") >= 3 * (now - start) // STEP_S)
    wait_until("the daemon has an incident of the fault", lambda: any(
        "checkout" in i["title"] for i in quell.get("/api/v1/incidents")["incidents"]))
    check(quell.program.stop() == 0, "a clean stop")
    same = place.write("same.yaml", CONFIG)
    blind = place.write("blind.yaml", "detect:\n  enabled: false\n")
    code, out, err = backtest(place, "--config", same, "--since", "1d", "--data", quell.data, "-o", "json")
    check(code == 0, f"backtest: {code} {err}")
    first = json.loads(out)
    check(first["samples"] == 3 * (now - start) // STEP_S, f"{first['samples']} samples judged")
    for side in ("running", "new"):
        first[side].pop("cpu_s")
    check(first["running"] == first["new"], f"the same settings differ: {first}")
    check(any(r["running"] and "checkout" in r["title"] for r in first["recorded"]),
          f"what is on record is not found: {first['recorded']}")
    near = [i for i in first["running"]["opened"] if "checkout" in i["title"]]
    check(near, f"the fault is not found: {first['running']}")
    code, out, err = backtest(place, "--config", blind, "--since", "1d", "--data", quell.data, "-o", "json")
    check(code == 0, f"backtest: {code} {err}")
    other = json.loads(out)
    check(other["running"]["opened"] == first["running"]["opened"], "a second run says something else")
    check(other["new"]["signals"] == 0 and other["new"]["incidents"] == 0, f"blind settings: {other['new']}")
    check(other["new"]["recorded_found"] == 0, "nobody finds what is not raised")
    check(other["new"]["recorded_missed"] == other["running"]["recorded_found"] + other["running"]["recorded_missed"],
          f"found and missed: {other['running']} {other['new']}")
    code, out, err = backtest(place, "--config", blind, "--since", "1d", "--data", quell.data)
    check(code == 0 and "signals a day" in out and "RUNNING" in out, f"the table: {out} {err}")
    wrong = place.write("wrong.yaml", "detect:\n  signals: 3\n")
    code, out, err = backtest(place, "--config", wrong, "--data", quell.data)
    check(code == 2 and "wrong.yaml:2" in err, f"a wrong file: {code} {err}")
    code, out, err = backtest(place, "--config", same, "--data", place.path("nothing"))
    check(code == 2 and "checkpoint" in err, f"no data: {code} {err}")
    return f"{first['running']['signals']} signals, {len(near)} incidents of the fault"


CASES = [same_and_other_settings]
