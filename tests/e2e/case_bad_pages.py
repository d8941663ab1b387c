"""Scraped pages that are wrong: each is counted by its reason, what is right in it is kept, and the
target beside it goes on."""
import dataclasses
import gzip
import http.server
import itertools
import threading
import time

from bad_rows import BOMB, HOUR_OFF, LIMIT
from harness import SETTLE_S, check, free_port, wait_until

LIMITS = "limits: {body_max: 1MiB}\nscrapes:\n"
SCRAPE = '  - {{job: {job}, targets: ["127.0.0.1:{port}"], path: /{path}, interval: 1s}}\n'
KEPT = b"kept 1\n"


@dataclasses.dataclass
class Page:
    what: str
    body: bytes
    up: int
    reason: str = None     # None: nothing is counted
    encoding: str = None
    lacks: int = 0         # bytes that are announced and do not come
    kind: str = "text/plain; version=0.0.4"


def pages():
    now = int(time.time() * 1000)
    right = KEPT * 10
    return [
        Page("a line that is cut off", KEPT + b'half{a="b', 1, "malformed"),
        Page("a label twice", KEPT + b'twice{a="1",a="2"} 1\n', 1, "duplicate_label"),
        Page("no number", KEPT + b"odd seven\n", 1, "no_value"),
        Page("65 labels", KEPT + b"wide{%s} 1\n" % b",".join(b'l%d="x"' % i for i in range(65)), 1, "label_limit"),
        Page("a time that is none", KEPT + b"when 1 soon\n", 1, "bad_time"),
        Page("NaN", KEPT + b"nan NaN\n", 1, "not_finite"),
        Page("the wrong order", KEPT + b"order 1 %d\norder 2 %d\n" % (now, now - 1000), 1, "too_old"),
        Page("one time twice", KEPT + b"again 1 %d\nagain 2 %d\n" % (now, now), 1, "duplicate"),
        Page("an hour ahead", KEPT + b"ahead 1 %d\n" % (now + HOUR_OFF * 1000), 1, "too_far_ahead"),
        Page("an hour behind", KEPT + b"behind 1 %d\n" % (now - HOUR_OFF * 1000), 1, "too_old"),
        Page("what a proxy says in its place", b"<html>\n<p>Log in\n", 0, "malformed", kind="text/html"),
        Page("larger than is taken", b"#" * (LIMIT + 1), 0, "too_large"),
        Page("gzip that is cut off", gzip.compress(right)[:-3], 0, "encoding", "gzip"),
        Page("a gzip bomb", gzip.compress(bytes(BOMB)), 0, "too_large", "gzip"),
        Page("an encoding that nobody asked for", right, 0, "encoding", "br"),
        Page("an end of the connection", right, 0, lacks=100),
    ]


def serve(rows):
    """(port, how often each path was asked)"""
    asked = dict.fromkeys(["/good", *(f"/{i}" for i in range(len(rows)))], 0)
    count = itertools.count(1)

    class Target(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked[self.path] += 1
            page = Page("", b"good %d\n" % next(count), 1) if self.path == "/good" else rows[int(self.path[1:])]
            self.send_response(200)
            self.send_header("Content-Type", page.kind)
            self.send_header("Content-Length", str(len(page.body) + page.lacks))
            if page.encoding:
                self.send_header("Content-Encoding", page.encoding)
            self.end_headers()
            try:
                self.wfile.write(page.body)
            except OSError:
                pass  # the scraper has read enough

        def log_message(self, *_):
            pass
    port = free_port()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return port, asked


def last(quell, selector):
    """Value and time of the newest sample; None without one."""
    rows = quell.get("/api/v1/query", query=f"{selector}[10m]")["data"]["result"]
    return (float(rows[0]["values"][-1][1]), rows[0]["values"][-1][0]) if rows else None


def dropped(quell):
    """By reason; nothing was dropped yet where there is no such metric."""
    return {line.split('reason="')[1].split('"')[0]: float(line.split()[-1])
            for line in quell.metrics().splitlines()
            if line.startswith('ql_records_dropped_total{source="scrape",')}


def page_check(quell, asked, i, page):
    path = f"/{i}"
    quell.reload(quell.alone + SCRAPE.format(job="bad", port=quell.target, path=i))
    wait_until(f"{page.what}: asked", lambda: asked[path] >= 1, SETTLE_S)
    # The page before is given up by now: what is counted from here on is this one's.
    before, since, good = dropped(quell), time.time(), last(quell, 'good{job="good"}')

    def told(selector, value):
        found = last(quell, selector)
        return found is not None and found[0] == value and found[1] >= since
    wait_until(f"{page.what}: asked twice more", lambda: asked[path] >= 3, SETTLE_S)
    wait_until(f"{page.what}: up is {page.up}", lambda: told('up{job="bad"}', page.up), SETTLE_S)
    if KEPT in page.body and page.up:
        wait_until(f"{page.what}: what is right in it is kept", lambda: told('kept{job="bad"}', 1), SETTLE_S)
    if page.reason:
        wait_until(f"{page.what}: counted as {page.reason}",
                   lambda: dropped(quell).get(page.reason, 0) > before.get(page.reason, 0), SETTLE_S)
    else:
        check(dropped(quell) == before, f"{page.what}: {before} became {dropped(quell)}")
    wait_until(f"{page.what}: the good one goes on", lambda: last(quell, 'good{job="good"}')[0] > good[0], SETTLE_S)


def bad_pages(place):
    rows = pages()
    port, asked = serve(rows)
    alone = LIMITS + SCRAPE.format(job="good", port=port, path="good")
    quell = place.quell(alone)
    quell.alone, quell.target = alone, port
    wait_until("the good one is there", lambda: last(quell, 'good{job="good"}'), SETTLE_S)
    for i, page in enumerate(rows):
        page_check(quell, asked, i, page)
    return f"{len(rows)} pages"


CASES = [bad_pages]
