"""Bands, scores and samples sent on to a real Prometheus, through its absence too."""
import http.server
import random
import threading
import time

from case_promql import ask, send
from harness import check, fetch, free_port, need, wait_until

SEED = 7


def receiver(place, port, name):
    """Prometheus with --web.enable-remote-write-receiver on a folder that stays."""
    place.write("out.yml", "global: {}\n")
    program = place.run(name, [need("prometheus"), f"--config.file={place.path('out.yml')}",
                               f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
                               f"--storage.tsdb.path={place.path('out-tsdb')}", "--log.level=warn"])
    wait_until("the receiver is ready", lambda: fetch(f"http://127.0.0.1:{port}/-/ready")[0] == 200, 60)
    return program


class Feed:
    """A gauge with a past that quell has learnt, then a sample a second."""

    def __init__(self, quell):
        self.quell, self.rng, self.sent = quell, random.Random(SEED), {}
        self.labels = {"__name__": "queue_depth", "host": "a"}
        start = time.time() - 3600
        self.give([(int((start + i) * 1000), 50 + self.rng.gauss(0, 2)) for i in range(3590)])

    def give(self, samples):
        for at in range(0, len(samples), 500):
            send(self.quell.url + "/api/v1/write", [(self.labels, samples[at:at + 500])])

    def live(self, seconds):
        """Returns the longest time that quell took to take one request."""
        worst = 0.0
        for _ in range(seconds):
            ms, value = int(time.time() * 1000), round(50 + self.rng.gauss(0, 2), 6)
            began = time.monotonic()
            self.give([(ms, value)])
            worst = max(worst, time.monotonic() - began)
            self.sent[ms] = value
            time.sleep(1)
        return worst


def samples_of(base, query):
    _, body = ask(base, "/api/v1/query", {"query": query})
    return [(r["metric"], {round(t * 1000): float(v) for t, v in r["values"]}) for r in body["data"]["result"]]


def remote_write_out(place):
    """What came while the receiver was away is there when it is back, and nothing twice."""
    port = free_port()
    theirs = f"http://127.0.0.1:{port}"
    program = receiver(place, port, "out-1")
    config = ("limits:\n  sample_behind_max: 1d\n" f"remote_write:\n  - url: {theirs}/api/v1/write\n"
              "    match: '{host=\"a\"}'\n    samples: true\n    interval: 1s\n    labels: {sender: quell}\n")
    quell = place.quell(config)
    feed = Feed(quell)
    feed.live(5)
    wait_until("bands arrive", lambda: ask(theirs, "/api/v1/query", {"query": "yhat"})[1]["data"]["result"], 60)
    program.stop()
    worst = feed.live(6)
    check(worst < 5, f"quell took {worst:.2f} s for a sample while its receiver was away")
    wait_until("it is tried again", lambda: quell.metric("ql_remote_write_requests_total", result="retried") >= 1)
    receiver(place, port, "out-2")
    feed.live(2)

    def all_there():
        rows = samples_of(theirs, "queue_depth[1h]")
        return rows and set(feed.sent) <= set(rows[0][1])
    wait_until("every sample is there", all_there, 60)
    metric, got = samples_of(theirs, "queue_depth[1h]")[0]
    check(metric == {**feed.labels, "sender": "quell"}, f"{metric}")
    check(all(got[ms] == feed.sent[ms] for ms in feed.sent), "values differ")
    for name in ("yhat", "yhat_lower", "yhat_upper", "anomaly_score"):
        wait_until(f"all of {name}", lambda: samples_of(theirs, f"{name}[1h]")[0][1].keys() >= set(feed.sent), 60)
        metric, sent = samples_of(theirs, f"{name}[1h]")[0]
        check(metric == {"__name__": name, "for": "queue_depth", "host": "a", "sender": "quell"}, f"{metric}")
        ours = samples_of(quell.url, f"{name}[1h]")[0][1]
        same = sum(ours[ms] == sent[ms] for ms in feed.sent)
        check(same >= len(feed.sent) - 2, f"{name}: {same} of {len(feed.sent)} as quell says itself")
    dropped = quell.metric("ql_records_dropped_total", source="remote_write_out")
    check(dropped == 0, f"{dropped} dropped")
    count = quell.metric("ql_remote_write_samples_total")
    check(count == 5 * len(got), f"{count} samples sent for {len(got)} in five series")
    # A reload changes what is sent from there on, and loses nothing on the way.
    before = set(feed.sent)
    quell.reload(config.replace("sender: quell", "sender: again"))
    feed.live(3)
    wait_until("the new label", lambda: samples_of(theirs, 'queue_depth{sender="again"}[1h]'), 60)
    both = lambda: [set(points) for _, points in samples_of(theirs, "queue_depth[1h]")]
    wait_until("all under one of them", lambda: set().union(*both()) >= set(feed.sent), 60)
    check(len(both()) == 2 and not set.intersection(*both()), f"sent twice: {set.intersection(*both())}")
    check(before <= set(samples_of(theirs, 'queue_depth{sender="quell"}[1h]')[0][1]), "the old ones are gone")
    return f"{len(feed.sent)} samples and their bands; at worst {worst * 1000:.0f} ms a sample meanwhile"


class Refusing(http.server.BaseHTTPRequestHandler):
    statuses, seen = [], []

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status = self.statuses.pop(0) if self.statuses else 204
        self.seen.append((status, time.monotonic(), self.headers["Content-Encoding"],
                          self.headers["X-Prometheus-Remote-Write-Version"]))
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "2")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def remote_write_refused(place):
    """503 and 429 are tried again, the latter when it says; 400 is not, and is counted."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    Refusing.statuses[:], Refusing.seen[:] = [503, 429, 204, 400], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        quell = place.quell(f"remote_write:\n  - url: http://127.0.0.1:{server.server_port}/w\n    interval: 1s\n"
                            "    samples: true\n    bands: false\n    scores: false\n")
        feed = Feed.__new__(Feed)
        feed.quell, feed.rng, feed.sent, feed.labels = quell, random.Random(SEED), {}, {"__name__": "q", "host": "a"}
        feed.live(8)
        wait_until("five requests", lambda: len(Refusing.seen) >= 5, 60)
        statuses = [s[0] for s in Refusing.seen]
        check(statuses[:4] == [503, 429, 204, 400], f"{statuses}")
        check(Refusing.seen[2][1] - Refusing.seen[1][1] >= 1.9, "Retry-After is not kept")
        check(all(s[2:] == ("snappy", "0.1.0") for s in Refusing.seen), f"{Refusing.seen[0]}")
        refused = quell.dropped("remote_write_out", reason="refused")
        check(refused >= 1, "what was refused is not counted")
        wait_until("all is accounted for", lambda: quell.metric("ql_remote_write_samples_total") +
                   quell.dropped("remote_write_out") == len(feed.sent), 60)
        return f"{refused:.0f} of {len(feed.sent)} samples refused and counted"
    finally:
        server.shutdown()
        server.server_close()


CASES = [remote_write_out, remote_write_refused]
