"""Prometheus as Debian ships it, with remote_write to quell and quell as its Alertmanager."""
import json
import signal
import time

from harness import check, fetch, fetch_json, free_port, metric, need, wait_until

SCRAPE_SELF = """
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus:
    def __init__(self, place, config, rules=None):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.place = place
        program = need("prometheus")
        if rules:
            place.write("rules.yml", rules)
        self.configure(config)
        self.program = place.run("prometheus", [
            program, f"--config.file={place.path('prometheus.yml')}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--storage.tsdb.path={place.path('tsdb')}", "--log.level=warn",
            # The first notification may come before the Alertmanager is discovered.
            "--rules.alert.resend-delay=2s"])
        wait_until("prometheus is ready", lambda: fetch(f"{self.url}/-/ready")[0] == 200, 30)

    def configure(self, config):
        self.place.write("prometheus.yml", config.format(port=self.port))

    def reload(self, config):
        self.configure(config)
        self.program.send(signal.SIGHUP)

    def metrics(self):
        return fetch(f"{self.url}/metrics")[2].decode()


def unchanged(ask, seconds=60):
    """An answer that stays the same for longer than Prometheus waits before it sends a batch."""
    end, last, since = time.monotonic() + seconds, None, time.monotonic()
    while time.monotonic() < end:
        now = ask()
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > 6:
            return now
        time.sleep(1)
    check(False, f"never settles: {last!r}")


def prometheus_remote_write(place):
    """Every sample that Prometheus says it sent is one that quell says it took."""
    quell = place.quell()
    head = "global: {scrape_interval: 1s, scrape_timeout: 1s}\n".replace("{", "{{").replace("}", "}}")
    write = f"remote_write:\n  - url: {quell.url}/api/v1/write\n"
    prometheus = Prometheus(place, head + write + SCRAPE_SELF)
    wait_until("1000 samples came", lambda: quell.accepted("remote_write") > 1000, 60)
    # No more scrapes: what is queued drains, then both sides can be compared.
    prometheus.reload(head + write)
    sent = lambda text: metric(text, "prometheus_remote_storage_samples_total")
    pending = lambda text: metric(text, "prometheus_remote_storage_samples_pending")
    wait_until("nothing is pending", lambda: pending(prometheus.metrics()) == 0, 60)
    text = unchanged(lambda: (sent(prometheus.metrics()), quell.accepted("remote_write")))
    retried = metric(prometheus.metrics(), "prometheus_remote_storage_samples_retried_total")
    check(text[0] - retried == text[1], f"prometheus sent {text[0]}, quell accepted {text[1]}")
    failed = metric(prometheus.metrics(), "prometheus_remote_storage_samples_failed_total")
    check(failed == 0, f"{failed} samples failed")
    # Prometheus' own summaries are NaN while empty: in the journal, but never judged.
    dropped = quell.dropped("remote_write") - quell.dropped("remote_write", reason="not_finite")
    check(dropped == 0, f"quell dropped {dropped}")
    theirs = fetch_json(f"{prometheus.url}/api/v1/series?match[]=%7Bjob%3D%22prometheus%22%7D")["data"]
    ours = quell.series('{job="prometheus"}')
    named = {(s["metric"], tuple(sorted(s["labels"].items()))) for s in ours}
    wanted = {(s.pop("__name__"), tuple(sorted(s.items()))) for s in theirs}
    check(named == wanted, f"series differ: missing {sorted(wanted - named)[:3]}, "
                           f"extra {sorted(named - wanted)[:3]}")
    points = quell.points('up{job="prometheus"}')
    check(len(points) == 1 and any(p[1] == 1 for p in points[0]), f"up is not there: {points}")
    return f"{text[0]:.0f} samples, {len(ours)} series"


def prometheus_alerts(place):
    """A rule that fires at once reaches quell as it would reach Alertmanager."""
    quell = place.quell()
    rules = json.dumps({"groups": [{"name": "e2e", "interval": "1s", "rules": [{
        "alert": "AlwaysFiring", "expr": "vector(1)",
        "labels": {"severity": "critical", "service": "checkout"},
        "annotations": {"summary": "it fires"}}]}]})
    config = ("global: {{evaluation_interval: 1s}}\nrule_files: [rules.yml]\n"
              f"alerting:\n  alertmanagers:\n    - static_configs: [{{{{targets: ['127.0.0.1:{quell.port}']}}}}]\n")
    prometheus = Prometheus(place, config, rules)
    alerts = wait_until("the alert is there", lambda: quell.get("/api/v1/alerts")["alerts"], 40)
    check(alerts[0]["name"] == "AlwaysFiring", f"{alerts}")
    check(alerts[0]["state"] == "firing", f"{alerts}")
    check(alerts[0]["entity"] == "service/checkout", f"{alerts}")
    check(alerts[0]["severity"] == "critical", f"{alerts}")
    incident = wait_until("an incident", lambda: quell.get("/api/v1/incidents")["incidents"], 30)[0]
    check(incident["alert_count"] == 1, f"{incident}")
    check(incident["entity"] == "service/checkout", f"{incident}")
    text = prometheus.metrics()
    check(metric(text, "prometheus_notifications_sent_total") >= 1, "none sent")
    check(metric(text, "prometheus_notifications_errors_total") == 0, "errors")
    # The same alert again is the same alert: no second incident.
    seen = quell.accepted("alerts")
    wait_until("it is sent again", lambda: quell.accepted("alerts") > seen)
    check(len(quell.get("/api/v1/incidents")["incidents"]) == 1, "more than one incident")
    return incident["title"]


CASES = [prometheus_remote_write, prometheus_alerts]
