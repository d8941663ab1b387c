"""Disks by their SMART counters, as two exporters name them: one signal a disk that fails, none for
one that does not, and an end when another disk stands there or none."""
import http.server
import json
import subprocess
import threading

from case_capacity import START, Looking
from case_life import gauge
from harness import check, free_port, wait_until

STEP = 300
SMARTCTL = {"5": "Reallocated_Sector_Ct", "9": "Power_On_Hours", "187": "Reported_Uncorrect", "188": "Command_Timeout",
            "197": "Current_Pending_Sector", "198": "Offline_Uncorrectable"}
FAILS, GROWS, REPLACED, HOURS = 4, 9, 14, 44
PACKED = 0x000100010003          # timeouts: three in all, one of them over 5 and over 7.5 seconds
RECORD = "of 43,364 disks this rule found .676 of those that failed and .074 of the others, AUC .817"


def counters(hour):
    """device or disk -> counter -> value; what is not there any more is left out."""
    failing = FAILS <= hour < REPLACED
    disks = {("db1:9633", "sda"): {"9": 40000 + hour},
             ("db1:9633", "sdb"): {"9": 40000 + hour, "197": 12 * failing,
                                   "5": 3 * (GROWS <= hour < REPLACED)}}
    if hour < REPLACED:
        disks["web1:9100", "/dev/sda"] = {"188": PACKED * failing}
    disks["web1:9100", "/dev/sdb"] = {}
    return disks


def series(hour):
    for (instance, disk), values in counters(hour).items():
        for number, name in SMARTCTL.items():
            value = values.get(number, 0)
            if instance.endswith(":9633"):
                for kind in ("raw", "value", "worst", "thresh"):
                    yield ("smartctl_device_attribute",
                           {"instance": instance, "device": disk, "attribute_id": number, "attribute_name": name,
                            "attribute_value_type": kind, "attribute_flags_short": "PO--CK"},
                           value if kind == "raw" else 100)
            else:
                yield (f"smartmon_{name.lower()}_raw_value",
                       {"instance": instance, "disk": disk, "type": "sat", "smart_id": number}, value)


def body(hour):
    begin, metrics = START + hour * 3600, []
    for name, labels, value in series(hour):
        points = [(at, value) for at in range(begin, begin + 3600, STEP)]
        metrics += json.loads(gauge(name, labels, points))["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()


def failing(quell):
    return [s for s in quell.get("/api/v1/signals", limit=500)["signals"] if s["kind"] == "failing disk"]


def listed(quell):
    return {(one["labels"].get("device") or one["labels"]["disk"], one["labels"]["instance"]): one
            for one in quell.get("/api/v1/capacity")["limits"] if one["rule"] == "disk"}


def a_failing_disk_is_told_once(place):
    quell = Looking(place, "forecast: {every: 30m}\n")
    opened = {}
    for hour in range(HOURS):
        before = quell.passes()
        status, _, text = quell.post("/v1/metrics", body(hour))
        check(status == 200, f"hour {hour}: {status} {text!r}")
        wait_until("it looked ahead", lambda: quell.passes() > before, 60)
        quell.settled()
        found = {s["why"].split(":")[0].split(" of ")[0]: s for s in failing(quell)}
        check(hour >= FAILS or not found, f"hour {hour}: {found}")
        for name in found:
            opened.setdefault(name, hour)
        if hour == FAILS + 4:
            check(sorted(found) == ["disk /dev/sda", "disk sdb"], f"hour {hour}: {found}")
            check(found["disk sdb"]["why"] == f"disk sdb of db1: 12 pending sectors; {RECORD}", str(found["disk sdb"]))
            check(found["disk /dev/sda"]["why"] == f"disk /dev/sda of web1: 3 command timeouts; {RECORD}",
                  str(found["disk /dev/sda"]))
            check(all(s["importance"] == "normal" and not s["closed"] for s in found.values()), str(found))
            disks = listed(quell)
            check(len(disks) == 4 and sorted(key for key, one in disks.items() if one["full"] == 1) ==
                  [("/dev/sda", "web1:9100"), ("sdb", "db1:9633")], str(disks))
            check("none of its five SMART counters is above 0" in disks["sda", "db1:9633"]["why"], str(disks))
            table = subprocess.run([place.binary, "capacity", "--url", quell.url], capture_output=True, text=True,
                                   timeout=120, check=True).stdout
            check(table.count("found") >= 2 and "12 pending sectors" in table, table)
        if hour == GROWS + 2:
            check("3 reallocated sectors, 12 pending sectors" in found["disk sdb"]["why"], str(found["disk sdb"]))
        if hour == REPLACED + 5:
            check(found["disk sdb"]["closed"] and not found["disk /dev/sda"]["closed"],
                  f"one was replaced, the other is gone for some hours: {found}")
    check(all(hour - FAILS < 5 for hour in opened.values()) and len(opened) == 2, f"opened at {opened}")
    ends = failing(quell)
    check(len(ends) == 2 and all(s["closed"] for s in ends), f"one signal a disk, and both are over: {ends}")
    check(quell.metric("ql_exhaustion_signals_total", phase="open") == 2, "told once each")
    check(not any("disk" in json.dumps(i) for i in quell.get("/api/v1/incidents")["incidents"]), "no incident")
    check(quell.program.stop() == 0, "a clean end")
    replay = subprocess.run([place.binary, "replay", quell.data], capture_output=True, text=True, timeout=300,
                            check=False)
    check(replay.returncode == 0, replay.stdout + replay.stderr)
    return f"opened at hours {opened}"


class Exporter(http.server.BaseHTTPRequestHandler):
    """What the two exporters write, of the hour that the case says it is."""
    hour = 0

    def do_GET(self):
        lines = [f"{name}{{{','.join(f'{k}=' + json.dumps(v) for k, v in labels.items() if k != 'instance')}}} {value:e}"
                 for name, labels, value in series(Exporter.hour) if labels["instance"] == self.path[1:]]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(("\n".join(lines) + "\n").encode())

    def log_message(self, *_):
        pass


def disks_are_scraped(place):
    """The same as text from an exporter, by the clock on the wall."""
    port = free_port()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Exporter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        Exporter.hour = FAILS
        quell = place.quell("forecast: {every: 1m, passes: 1}\nscrapes:\n" + "".join(
            f"  - {{job: {job}, targets: ['127.0.0.1:{port}'], path: '/{path}', interval: 5s, timeout: 5s}}\n"
            for job, path in (("smartctl", "db1:9633"), ("smartmon", "web1:9100"))))

        def told():
            return failing(quell)
        found = wait_until("two disks are told", lambda: told() if len(told()) == 2 else None, 250, 1)
        check(all(s["incident"] is None for s in found), f"two of one host open no incident either: {found}")
        # awk's %e has seven digits: of 3, 1 and 1 timeouts in one number the first is lost
        check(sorted(s["why"].split("; ")[0] for s in found) ==
              ["disk /dev/sda of 127.0.0.1: 1 command timeouts", "disk sdb of 127.0.0.1: 12 pending sectors"], str(found))
        Exporter.hour = REPLACED
        wait_until("the replaced one is over", lambda: [s for s in told() if s["closed"] and "sdb" in s["why"]], 250, 1)
        check(len(told()) == 2, str(told()))
    finally:
        server.shutdown()
        server.server_close()


CASES = [a_failing_disk_is_told_once, disks_are_scraped]
