"""Quell scraping Debian's prometheus-node-exporter."""
import shutil
import time

from harness import Skipped, check, fetch, free_port, need, wait_until

CALM_S, LOAD_S, OVER_S = 100, 30, 400
CALM_TRIES, BUSY_MOST = 3, 0.3
LOAD_METRICS = ("node_cpu", "node_load1", "node_procs", "node_pressure_cpu", "node_context")
SLOW_METRICS = ("node_load1", "node_load15") # means over minutes: for them the load is not over yet

# A budget of a day over a life of minutes: what the default would be at a step of a minute or more.
LIVELY = """
detect: {signals_per_day: 10000}
"""
CONFIG = """
scrapes:
  - job: node
    targets: ["127.0.0.1:{port}"]
    interval: {interval}
    timeout: {interval}
    labels: {{zone: here}}
"""


def last_value(quell, selector):
    points = quell.points(selector)
    return points[0][-1][1] if points and points[0] else None


def node_exporter_scrape(place):
    program = need("prometheus-node-exporter")
    port = free_port()
    exporter = place.run("node-exporter", [program, f"--web.listen-address=127.0.0.1:{port}",
                                           "--log.level=error"])
    wait_until("the exporter is up", lambda: fetch(f"http://127.0.0.1:{port}/metrics")[0] == 200)
    quell = place.quell(CONFIG.format(port=port, interval="5s"))
    wait_until("two scrapes", lambda: quell.metric("ql_scrapes_total", result="up") >= 2)
    wait_until("up is 1", lambda: last_value(quell, 'up{job="node"}') == 1)
    quell.settled()
    found = quell.series(f'node_load1{{job="node",instance="127.0.0.1:{port}",zone="here"}}')
    check(len(found) == 1, f"node_load1: {found}")
    check(found[0]["type"] == "gauge", f"{found}")
    cpu = quell.series('node_cpu_seconds_total{mode="idle"}')
    check(cpu and cpu[0]["type"] == "counter", f"{cpu[:1]}")
    scraped = last_value(quell, "scrape_samples_scraped")
    check(scraped and scraped > 100, f"scrape_samples_scraped is {scraped}")
    check(quell.dropped("scrape") == 0, "samples were dropped")
    # A target that is gone is said to be gone; nothing is made up for its series.
    exporter.stop()
    wait_until("up is 0", lambda: last_value(quell, 'up{job="node"}') == 0)
    return f"{scraped:.0f} samples a scrape"


def open_signals(quell, **filters):
    return quell.get("/api/v1/signals", limit=500, **filters)["signals"]


class Busy:
    """Shares of CPU time that this machine was busy in, one for each ten seconds that are asked."""

    def __init__(self):
        self.shares, self.before, self.since = [], self.ticks(), time.monotonic()

    @staticmethod
    def ticks():
        with open("/proc/stat", encoding="ascii") as stat:
            numbers = [int(word) for word in stat.readline().split()[1:9]]
        return sum(numbers), numbers[3] + numbers[4]

    def look(self):
        if time.monotonic() - self.since >= 10:
            now = self.ticks()
            self.shares.append(1 - (now[1] - self.before[1]) / max(1, now[0] - self.before[0]))
            self.before, self.since = now, time.monotonic()

    def watch(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(1)
            self.look()

    def most(self):
        return max(self.shares, default=0)


def calm_quell(place, config):
    """A daemon that has seen a hundred seconds of normal life. Where others load the machine,
    their load is what it learns as normal: then anew, and at the end not at all."""
    for _ in range(CALM_TRIES):
        quell = place.quell(config)
        busy = Busy()
        busy.watch(CALM_S)
        wait_until("a hundred seconds of scrapes",
                   lambda: quell.metric("ql_scrapes_total", result="up") >= CALM_S * 0.9, 60, 1)
        if busy.most() < BUSY_MOST:
            return quell
        quell.program.stop()
        shutil.rmtree(quell.data) # with what it learnt
    raise Skipped(f"this machine has other load: busy for {busy.most():.0%} of ten seconds")


def wait_until_over(quell, raised):
    """Until each of the signals `raised` is closed. What opens meanwhile is not the load's:
    the budget allows for some. Other load keeps them open: then nothing is said."""
    busy, end = Busy(), time.monotonic() + OVER_S
    while time.monotonic() < end:
        left = [s for s in open_signals(quell) if s["id"] in raised and not s["closed"]]
        if not left:
            return
        time.sleep(1)
        busy.look()
    if busy.most() >= BUSY_MOST:
        raise Skipped(f"this machine has other load after the test's own: {busy.most():.0%}")
    check(False, f"open {OVER_S} s after the load: "
                 f"{[(s['metric'], s['labels'], s['why']) for s in left]}")


def load_on_and_off(place):
    """README's second example at a step of one second: a real load is seen, and that it ended."""
    exporter, load = need("prometheus-node-exporter"), need("stress-ng")
    port = free_port()
    place.run("node-exporter", [exporter, f"--web.listen-address=127.0.0.1:{port}",
                                "--log.level=error", "--collector.disable-defaults",
                                "--collector.cpu", "--collector.loadavg", "--collector.stat",
                                "--collector.pressure"])
    wait_until("the exporter is up", lambda: fetch(f"http://127.0.0.1:{port}/metrics")[0] == 200)
    quell = calm_quell(place, LIVELY + CONFIG.format(port=port, interval="1s"))
    early = open_signals(quell)
    before = {signal["id"] for signal in early}
    print(f"  {len(early)} signals in the calm, of {sorted({s['metric'] for s in early})}")
    began = time.time()
    stress = place.run("stress-ng", [load, "--cpu", "0", "--timeout", str(LOAD_S), "--quiet"])

    def of_the_load():
        return [signal for signal in open_signals(quell)
                if signal["id"] not in before and signal["metric"].startswith(LOAD_METRICS)]
    seen = wait_until("signals of the load", of_the_load, LOAD_S + 20, 0.5)
    took = time.time() - began
    first = seen[0]
    check(first["why"] and first["expected"] is not None, f"a signal without reason or band: {first}")
    wait_until("the load has ended", lambda: not stress.alive(), LOAD_S + 20)
    raised = {s["id"] for s in of_the_load() if s["metric"] not in SLOW_METRICS}
    check(raised, "only means over minutes rose")
    wait_until_over(quell, raised)
    return f"{took:.0f} s to the first of {len(raised)}: {first['why']}"


CASES = [node_exporter_scrape, load_on_and_off]
