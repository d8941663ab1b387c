"""History: old days are made smaller while the daemon runs, through kills, and answer on."""
import glob
import json
import os
import signal
import time

from harness import SmallDisk, check, wait_until

DAY_S, STEP_S = 86400, 60
CONFIG = """
limits:
  sample_behind_max: 30d
store:
  raw_for: 1d
  minutes_for: 3d
"""


def value(name, at):
    """What is sent at a time: a saw of an hour, or a counter that grows by 2 a second."""
    return float(at % 3600 // STEP_S) if name == "saw" else float(2 * (at % (30 * DAY_S)))


def send(quell, start, end):
    for first in range(start, end, 12 * 3600):
        metrics = []
        for name in ("saw", "work_total"):
            points = [{"timeUnixNano": str(at * 1000000000), "asDouble": value(name, at)}
                      for at in range(first, min(first + 12 * 3600, end), STEP_S)]
            body = {"dataPoints": points}
            metrics.append({"name": name, **({"gauge": body} if name == "saw" else
                            {"sum": {**body, "aggregationTemporality": 2, "isMonotonic": True}})})
        body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()
        check(quell.post("/v1/metrics", body)[0] == 200, "history is taken")


def query(quell, text, start, end, step=3600):
    answer = quell.get("/api/v1/query_range", query=text, start=start, end=end, step=step)
    check(len(answer["data"]["result"]) == 1, f"{text}: {len(answer['data']['result'])} series")
    return [float(v) for _, v in answer["data"]["result"][0]["values"]], answer.get("warnings", [])


def old_days_shrink(place):
    """Five days; killed twice in the middle of rewriting; then cells where cells are due."""
    quell = place.quell(CONFIG)
    today = int(time.time()) // DAY_S * DAY_S
    start, end = today - 5 * DAY_S, today + (int(time.time()) - today) // STEP_S * STEP_S
    send(quell, start, end)
    quell.settled()
    check(quell.program.stop() == 0, "a clean stop")
    for _ in range(2):
        quell.start()
        quell.program.stop(signal.SIGKILL)
    quell.start()

    def rewritten(level):
        return quell.metric("ql_history_days_rewritten_total", level=level)
    wait_until("old days are cells", lambda: rewritten("hours") + rewritten("minutes") >= 1 and
               quell.get("/api/v1/status")["history"]["days"] >= 5)
    wait_until("a day of hours answers as cells", lambda: "60 minutes" in " ".join(
        query(quell, "saw", start + 3600, start + DAY_S - 3600)[1]))
    means, _ = query(quell, "avg_over_time(saw[1h])", start + 7200, start + DAY_S - 3600)
    check(all(abs(v - 29.5) < 0.01 for v in means), f"means of an hour: {means}")
    tops, _ = query(quell, "max_over_time(saw[1h])", start + 7200, start + DAY_S - 3600)
    lows, _ = query(quell, "min_over_time(saw[1h])", start + 7200, start + DAY_S - 3600)
    check(set(tops) == {59.0} and set(lows) == {0.0}, f"greatest and least of an hour: {tops} {lows}")
    rates, warnings = query(quell, "rate(work_total[15m])", start + 7200, start + 2 * DAY_S, 900)
    # Where cells meet samples or wider cells, a step (60 s of 900) may count to either side.
    off = [v for v in rates if abs(v - 2.0) > 0.02]
    check(len(rates) > 150 and len(off) <= 1 and all(abs(v - 2.0) <= 2.0 * STEP_S / 900 + 0.01 for v in off),
          f"rates: {rates}")
    check(warnings, "the answer says that it comes from cells")
    def minutes_there():
        return "5 minutes" in " ".join(query(quell, "saw", today - 3 * DAY_S + 7200, today - 3 * DAY_S + 14400)[1])
    wait_until("a younger day answers as cells of five minutes", minutes_there)
    exact, warnings = query(quell, "saw", today - 3600, end - STEP_S, STEP_S)
    check(not warnings, f"the last day has every sample, yet: {warnings}")
    wanted = [value("saw", at) for at in range(today - 3600, end, STEP_S)]
    check(exact == wanted, f"{len(exact)} samples of the last day, {len(wanted)} sent")
    bands = quell.get("/api/v1/bands", **{"match[]": "saw", "start": start, "end": start + DAY_S})
    check(bands["series"][0]["cell_s"] == 3600 and bands["series"][0]["points"], "the page's read says its cells")
    status = quell.get("/api/v1/status")["history"]
    check(status["disk_bytes"] > 0 and status["days_removed_by_size"] == 0, f"status: {status}")
    return f"{status['days']} days in {status['disk_bytes']} B"


def full_disk_while_days_shrink(place):
    """Days are due to be packed and there is no room: every sample stays readable, a counter and a
    line of the log say so, also after a kill; with room they are packed, and every sample is there."""
    config = "limits:\n  sample_behind_max: 30d\n"
    with SmallDisk(place, "64m") as disk:
        quell = place.quell(config)
        disk.move_in(quell)
        today = int(time.time()) // DAY_S * DAY_S
        start = today - 3 * DAY_S
        send(quell, start, today)
        quell.settled()
        wanted = [value("saw", at) for at in range(start, start + DAY_S, STEP_S)]

        def whole(when):
            seen, warnings = query(quell, "saw", start, start + DAY_S - STEP_S, STEP_S)
            check(seen == wanted and not warnings, f"{when}: {len(seen)} of {len(wanted)} samples of an old day")

        def failures(quell):
            try:
                return quell.metric("ql_history_rewrite_failures_total")
            except OSError:
                return 0  # it does not listen yet

        whole("with room")
        quell.program.stop(signal.SIGKILL)
        disk.fill()
        for life in range(2):
            quell.launch()
            wait_until("it is counted", lambda: failures(quell) >= 1)
            check("no room to make days of history smaller" in quell.program.log(200), "no line of the log says so")
            whole(f"without room, life {life}")
            check(quell.metric("ql_history_days_rewritten_total") == 0, "a day was packed without room")
            quell.program.stop(signal.SIGKILL)
        disk.empty()
        quell.start()
        # Killed while it packs: when the first day has a log that is not yet emptied into it.
        first = os.path.join(quell.data, "history", time.strftime("history-%Y%m%d.db-wal", time.gmtime(start)))
        wait_until("the first day is at work", lambda: os.path.exists(first) or
                   quell.metric("ql_history_days_rewritten_total") > 0, every=0.005)
        quell.program.stop(signal.SIGKILL)
        quell.start()
        wait_until("days are packed", lambda: quell.metric("ql_history_days_rewritten_total", level="packed") >= 1)
        whole("packed")
        return f"{len(glob.glob(os.path.join(quell.data, 'history', '*.db')))} days"


CASES = [old_days_shrink, full_disk_while_days_shrink]
