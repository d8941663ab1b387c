"""Quell scraping Debian's prometheus-node-exporter."""
from harness import check, fetch, free_port, need, wait_until

CONFIG = """
scrapes:
  - job: node
    targets: ["127.0.0.1:{port}"]
    interval: 1s
    timeout: 1s
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
    quell = place.quell(CONFIG.format(port=port))
    wait_until("two scrapes", lambda: quell.metric("ql_scrapes_total", result="up") >= 2)
    wait_until("up is 1", lambda: last_value(quell, 'up{job="node"}') == 1)
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


CASES = [node_exporter_scrape]
