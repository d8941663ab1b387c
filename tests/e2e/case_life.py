"""The daemon's own life: killed under load, reloaded, out of disk, flooded with series."""
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.request

from harness import SmallDisk, check, wait_until

SEED = 20260105


def gauge(name, labels, points):
    """An OTLP metrics request with one gauge; points are (unix seconds, value)."""
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in labels.items()]
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{
        "name": name, "gauge": {"dataPoints": [
            {"timeUnixNano": str(int(at * 1000) * 1000000), "asDouble": value,
             "attributes": attributes} for at, value in points]}}]}]}]}).encode()


PAD = b" " * 60000  # behind a body: with it a life fills the journal's share of a checkpoint


def alert(name, service, ends):
    return [{"labels": {"alertname": name, "service": service},
             "endsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))}]


class Load(threading.Thread):
    """Posts alerts and samples until told to stop; remembers what was acknowledged."""

    def __init__(self, quell, number, start):
        super().__init__(daemon=True)
        self.quell, self.number, self.next = quell, number, start
        self.alerts, self.samples, self.stopped = [], [], False

    def run(self):
        while not self.stopped:
            name = f"A{self.number}_{self.next}"
            at = time.time()
            body = json.dumps(alert(name, f"s{self.next % 7}", at + 3600)).encode()
            self.keep(self.alerts, name, "/api/v2/alerts", body)
            self.keep(self.samples, int(at * 1000), "/v1/metrics",
                      gauge(f"load_{self.number}", {"service": "s"}, [(at, self.next)]) + PAD)
            self.next += 1

    def keep(self, acknowledged, what, path, body):
        try:
            if self.quell.post(path, body)[0] == 200:
                acknowledged.append(what)
        except (OSError, http.client.HTTPException):
            pass  # killed in the middle: not acknowledged, so nothing is promised


class Watch(threading.Thread):
    """One life's events of incidents: how often each was told to be over."""

    def __init__(self, quell, over):
        super().__init__(daemon=True)
        self.stream = urllib.request.urlopen(f"{quell.url}/api/v1/events", timeout=30)
        self.over = over

    def run(self):
        kind = None
        try:
            for line in self.stream:
                word, _, rest = line.decode().strip().partition(": ")
                kind = rest if word == "event" else kind
                if word == "data" and kind == "incident":
                    incident = json.loads(rest)
                    if incident["state"] == "resolved":
                        self.over.setdefault(incident["id"], []).append(incident["title"])
        except (OSError, http.client.HTTPException, ValueError):
            pass  # the life is over


def one_life(quell, rng, number, progress, seen):
    """Loads until a checkpoint was crossed and a random while on, then SIGKILL in the middle."""
    loads = [Load(quell, each, progress[each]) for each in (1, 2)]
    Watch(quell, seen["over"]).start()
    for load in loads:
        load.start()
    now = time.time()
    for i in range(5):  # five begin in each life, and those of the life before end
        rows = alert(f"Ends{number}", f"e{number}_{i}", now + 3600)
        rows += alert(f"Ends{number - 1}", f"e{number - 1}_{i}", now - 1) if number > 0 else []
        check(quell.post("/api/v2/alerts", json.dumps(rows).encode())[0] == 200, f"alerts {rows}")
    acked = wait_until("an incident nobody has seen", lambda: [
        i["id"] for i in quell.get("/api/v1/incidents", state="open")["incidents"]])[0]
    wait_until("a checkpoint under load", lambda: quell.metric("ql_checkpoints_total") >= 1)
    check(quell.post(f"/api/v1/incidents/{acked}/ack", b"{}")[0] == 200, f"ack {acked}")
    seen["acked"].append(acked)
    time.sleep(rng.uniform(0.0, 1.5))
    seen["checkpoints"] += quell.metric("ql_checkpoints_total")
    quell.program.send(signal.SIGKILL)
    quell.program.child.wait()
    for load in loads:
        load.stopped = True
        load.join()
        seen["alerts"].update(load.alerts)
        seen["samples"][load.number].update(load.samples)
        progress[load.number] = load.next
    quell.start()


def nothing_twice(quell, seen, rounds):
    """By the events of all lives, the timelines, the audit log, and a replay over the kills."""
    for incident, titles in seen["over"].items():
        check(len(titles) == 1, f"incident {incident} was told to be over {len(titles)} times: {titles}")
    for incident in quell.get("/api/v1/incidents", limit=1000)["incidents"]:
        line = quell.get(f"/api/v1/incidents/{incident['id']}")["timeline"]
        kinds = [event["kind"] for event in line]
        over = int(incident["state"] == "resolved")
        check(kinds.count("opened") == 1, f"incident {incident['id']} opened {kinds.count('opened')} times")
        check(kinds.count("resolved") == over, f"incident {incident['id']}: {kinds}")
        check(kinds.count("acknowledged") == seen["acked"].count(incident["id"]), f"{incident['id']}: {kinds}")
    check(quell.program.stop() == 0, "SIGTERM did not end it with 0")
    with contextlib.closing(sqlite3.connect(os.path.join(quell.data, "audit.db"))) as audit:
        rows = audit.execute("SELECT incident FROM audit WHERE what = 'ack'").fetchall()
    check(len(rows) == rounds and len(set(rows)) == rounds, f"{rounds} acks gave these rows: {rows}")
    replayed = subprocess.run([quell.place.binary, "replay", quell.data, "-o", "json"], check=False,
                              capture_output=True, text=True)
    check(replayed.returncode == 0, f"a replay over the kills: {replayed.stderr}")
    return json.loads(replayed.stdout)["compared"]


def killed_under_load(place):
    """SIGKILL at random points, with checkpoints and a journal that is cut in between: what was
    acknowledged is there, nothing happens twice."""
    rng = random.Random(SEED)
    quell = place.quell("engine:\n  journal_max: 16MiB\ncorrelate:\n  close: 10s\n")
    seen = {"alerts": set(), "samples": {1: set(), 2: set()}, "over": {}, "acked": [], "checkpoints": 0}
    progress, rounds = {1: 0, 2: 0}, 4
    for number in range(rounds):
        one_life(quell, rng, number, progress, seen)
    journal = sorted(os.listdir(os.path.join(quell.data, "journal")))
    check(int(journal[0].split("-")[1].split(".")[0], 16) > 1, f"the journal was never cut: {journal}")
    alerts, samples = seen["alerts"], seen["samples"]
    check(len(alerts) > 40, f"seed {SEED}: only {len(alerts)} alerts were acknowledged: no load")
    Watch(quell, seen["over"]).start()
    rows = {row["name"]: [] for row in quell.get("/api/v1/alerts", limit=10000, state="all")["alerts"]}
    check(alerts <= rows.keys(), f"seed {SEED}: {len(alerts - rows.keys())} acknowledged alerts are missing")
    for number, times in samples.items():
        series = quell.get("/api/v1/bands", **{
            "match[]": f"load_{number}", "start": min(times) / 1000 - 1, "end": max(times) / 1000 + 1,
            "max_points": 20000})["series"]
        stored = {round(t * 1000) for t, _ in series[0]["points"]}
        missing = {t for t in times if t not in stored}
        check(not missing, f"seed {SEED}: {len(missing)} of {len(times)} acknowledged samples are missing")
    ends = {f"e{number}_{i}: Ends{number}" for number in range(rounds - 1) for i in range(5)}
    wait_until("what ended is over", lambda: ends <= {row["title"] for row in quell.get(
        "/api/v1/incidents", state="resolved", limit=1000)["incidents"]}, 30)
    compared = nothing_twice(quell, seen, rounds)
    return (f"seed {SEED}, {rounds} kills, {seen['checkpoints']:.0f} checkpoints, {len(alerts)} alerts and "
            f"{sum(map(len, samples.values()))} samples acknowledged, {len(seen['over'])} incidents over, "
            f"{compared} ticks replayed alike")


def restart_keeps_everything(place):
    """A clean restart during firing alerts: the same incident, the same start, nothing new."""
    quell = place.quell()
    body = json.dumps([{"labels": {"alertname": f"A{i}", "service": "cart"},
                        "endsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))}
                       for i in range(500)]).encode()
    check(quell.post("/api/v2/alerts", body)[0] == 200, "500 alerts")
    before = wait_until("one incident of 500 alerts", lambda: [
        i for i in quell.get("/api/v1/incidents")["incidents"] if i["alert_count"] == 500])
    check(quell.program.stop() == 0, "SIGTERM did not end it with 0")
    quell.start()
    check(quell.post("/api/v2/alerts", body)[0] == 200, "the same 500 again, as senders do")
    quell.settled()
    after = quell.get("/api/v1/incidents")["incidents"]
    check(len(after) == 1 and after[0]["id"] == before[0]["id"], f"{after}")
    for key in ("state", "onset", "opened", "alert_count", "reopen_count"):
        check(after[0][key] == before[0][key], f"{key}: {before[0][key]} became {after[0][key]}")
    return after[0]["title"]


def reload_all_or_nothing(place):
    """SIGHUP: a bad file changes nothing and says why; a good one takes effect."""
    quell = place.quell("limits:\n  series_max: 5000\n")

    quell.reload("detct:\n  signals_per_day: 3\n", "did you mean")
    quell.reload("detect:\n  signals_per_day: 3\n")
    check(quell.ready(), "ready after both")
    return "unknown key refused with the nearest known one"


def disk_full(place):
    """A disk without room: input is refused with 503, nothing accepted before is lost."""
    with SmallDisk(place, "24m") as disk:
        quell = place.quell()
        disk.move_in(quell)
        first = json.dumps([{"labels": {"alertname": "Before", "service": "a"}}]).encode()
        check(quell.post("/api/v2/alerts", first)[0] == 200, "an alert while there is room")
        wait_until("it is stored", lambda: quell.get("/api/v1/alerts")["alerts"])
        disk.fill()
        big = json.dumps([{"labels": {"alertname": f"During{i}", "service": "a"},
                           "annotations": {"text": "x" * 1000}} for i in range(200)]).encode()
        statuses = [quell.post("/api/v2/alerts", big)[0] for _ in range(3)]
        check(503 in statuses, f"a full disk was answered with {statuses}")
        check(quell.dropped("alerts", reason="disk_full") > 0, "it is not counted as disk_full")
        disk.empty()
        wait_until("input is taken again", lambda: quell.post("/api/v2/alerts", first)[0] == 200)
        names = {row["name"] for row in quell.get("/api/v1/alerts", state="all")["alerts"]}
        check("Before" in names, f"what was accepted before is gone: {names}")
        return f"answers while full: {statuses}"


def checkpoint_leaves_room(place):
    """The last of a disk is the journal's: a checkpoint that would take it fails, input goes on."""
    with SmallDisk(place, "32m") as disk:
        quell = place.quell("engine:\n  checkpoint: 10s\n")
        disk.move_in(quell)
        alerts = [json.dumps([{"labels": {"alertname": name, "service": "a"}}]).encode()
                  for name in ("Before", "During")]
        disk.fill(leave=7 << 20)
        before = quell.metric("ql_checkpoints_total")
        check(quell.post("/api/v2/alerts", alerts[0])[0] == 200, "an alert with 7 MiB left")
        wait_until("a checkpoint failed", lambda: quell.metric("ql_checkpoint_failures_total") >= 1, 60)
        check(disk.free() > 6 << 20, f"it left {disk.free()} bytes")
        check(quell.post("/api/v2/alerts", alerts[1])[0] == 200, "an alert after it")
        check(quell.metric("ql_checkpoints_total") == before, "no checkpoint was possible")
        disk.empty()
        wait_until("one succeeds", lambda: quell.metric("ql_checkpoints_total") > before, 60)
        quell.program.send(signal.SIGKILL)
        quell.program.child.wait()
        quell.start()
        names = {row["name"] for row in quell.get("/api/v1/alerts", state="all")["alerts"]}
        check({"Before", "During"} <= names, f"after a kill only {names} are known")


def store_behind(place):
    """Somebody writes in state.db for hours: results wait in memory, then input is refused, and all
    of it is there as soon as they are done, also when the daemon is killed meanwhile."""
    quell = place.quell("engine:\n  tick: 1s\n", clock="input")
    acknowledged, at = set(), 1767571200

    def tell():
        nonlocal at
        at += 10
        body = gauge("load", {"service": f"s{at}"}, [(at, 1)])
        status = quell.post("/v1/metrics", body)[0]
        if status == 200:
            acknowledged.add(f"service/s{at}")
        return status

    def missing():
        with contextlib.closing(sqlite3.connect(f"file:{quell.data}/state.db?mode=ro", uri=True)) as db:
            return acknowledged - {name for (name,) in db.execute("SELECT name FROM entities")}

    def write_for_hours():
        shell = sqlite3.connect(f"{quell.data}/state.db", isolation_level=None)
        shell.execute("BEGIN IMMEDIATE")
        wait_until("input is refused", lambda: tell() == 503 and not quell.ready(), 120, every=0)
        return shell

    check(tell() == 200, "before")
    shell = write_for_hours()
    check(len(acknowledged) > 500, f"only {len(acknowledged)} ticks waited")
    shell.close()
    wait_until("it is ready again", quell.ready)
    wait_until("all is stored", lambda: not missing())
    check(tell() == 200, "input is taken again")
    shell = write_for_hours()
    quell.program.send(signal.SIGKILL)
    quell.program.child.wait()
    shell.close()
    quell.start()
    check(not missing(), f"after a kill: {len(missing())} are missing")
    shell = write_for_hours()
    check(quell.program.stop() == 0, "SIGTERM did not end it with 0")
    shell.close()
    quell.start()
    check(not missing(), f"after a stop: {len(missing())} are missing")
    return f"{len(acknowledged)} ticks acknowledged"


def too_many_series(place):
    """New series beyond the limit of a source are refused and counted; known ones go on. A minute
    may turn while they come: then there are two quotas."""
    quell = place.quell("limits:\n  series_new_per_min_max: 100\n  series_max: 1000\n")
    now = time.time()
    flood = [json.loads(gauge("flood", {"id": str(i)}, [(now, 1)]))["resourceMetrics"][0] for i in range(300)]
    check(quell.post("/v1/metrics", json.dumps({"resourceMetrics": flood}).encode())[0] == 200, "a flood")
    quell.settled()
    check(quell.dropped("otlp_metrics", reason="cardinality") >= 100, "the limit does not show")
    known = quell.get("/api/v1/status")["series"]
    check(known <= 250, f"{known} series in spite of the limit")
    check(quell.post("/v1/metrics", gauge("flood", {"id": "0"}, [(now + 1, 2)]))[0] == 200, "a known one")
    return f"{known} series kept, {int(quell.dropped('otlp_metrics', reason='cardinality'))} refused and counted"


def clocks_apart(place):
    """A sender's clock an hour off is refused by the limits, and counted by which way."""
    quell = place.quell()
    now = time.time()
    for offset, reason in ((3700, "too_far_ahead"), (-3700, "too_old")):
        quell.post("/v1/metrics", gauge("clock", {"service": "a"}, [(now + offset, 1)]))
        wait_until(f"{offset} s is counted", lambda reason=reason: quell.dropped("otlp_metrics", reason=reason) >= 1)
    quell.post("/v1/metrics", gauge("clock", {"service": "a"}, [(now, 1)]))
    wait_until("the right time is taken", lambda: quell.get("/api/v1/known-series", **{"match[]": "clock"})["series"])


def service_manager(place):
    """A unit of Type=notify or notify-reload is told when it is ready, reloads and stops."""
    told = []
    for name in (place.path("notify"), f"\0quell-notify-{os.getpid()}"): # a path, and an abstract one
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(name)
            manager.settimeout(20)
            os.environ["NOTIFY_SOCKET"] = name.replace("\0", "@")
            try:
                quell = place.quell("detect:\n  signals_per_day: 3\n")
            finally:
                del os.environ["NOTIFY_SOCKET"]
            check(manager.recv(256) == b"READY=1", "ready comes first")
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            quell.program.send(signal.SIGHUP)
            reloading = manager.recv(256).decode().splitlines()
            check(reloading[0] == "RELOADING=1" and len(reloading) == 2, f"{reloading}")
            key, _, at = reloading[1].partition("=")
            after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            check(key == "MONOTONIC_USEC" and before <= int(at) <= after, f"{reloading} of {before} to {after}")
            check(manager.recv(256) == b"READY=1", "ready after the reload")
            check(quell.program.stop() == 0, "stopped")
            check(manager.recv(256) == b"STOPPING=1", "stopping comes last")
            told.append(name)
    return f"{len(told)} sockets"


def without_libcurl(place):
    """Where libcurl is not installed, whoever needs it says so; nobody speaks of memory."""
    hollow = place.path("hollow")
    os.mkdir(hollow)
    for name in ("libcurl.so.4", "libcurl-gnutls.so.4"):
        with open(os.path.join(hollow, name), "w", encoding="ascii") as library:
            library.write("no library")
    configs = {"scrapes": "scrapes:\n  - job: node\n    targets: [\"127.0.0.1:1\"]\n",
               "remote_write": "remote_write:\n  - url: http://127.0.0.1:1/w\n    samples: true\n"}
    rows = [("status", ["status", "--url", "http://127.0.0.1:1"])]
    for name, text in configs.items():
        path = place.path(f"{name}.yaml")
        with open(path, "w", encoding="ascii") as config:
            config.write(text)
        rows.append((name, ["serve", "--config", path, "--data", place.path(f"data-{name}"),
                            "--listen", "127.0.0.1:0"]))
    for name, argv in rows:
        done = subprocess.run([place.binary, *argv], capture_output=True, text=True, check=False,
                              timeout=30, env={**os.environ, "LD_LIBRARY_PATH": hollow})
        check(done.returncode != 0 and "libcurl.so.4 is not installed" in done.stderr,
              f"{name}: {done.returncode} {done.stderr}")


CASES = [killed_under_load, restart_keeps_everything, reload_all_or_nothing, disk_full,
         checkpoint_leaves_room, store_behind, too_many_series, clocks_apart, service_manager, without_libcurl]
