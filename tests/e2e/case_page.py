"""The page in a real browser, and `quell demo` from start to end."""
import json
import os
import re
import signal
import subprocess

from case_otel import modules
from harness import HERE, Failed, Skipped, check, fetch, need, wait_until

DEMO_S_MAX = 400 # of a busy machine; the docs say what a calm one takes
TOKEN = "page-0123456789abcdef"


def browse(place, mode, url):
    node = need("node")
    need("chromium")
    modules()
    if not os.path.isdir(os.path.join(HERE, "node_modules", "playwright-core")):
        raise Skipped("playwright-core is not installed")
    done = subprocess.run([node, os.path.join(HERE, "page.mjs"), mode, url, place.path("pictures")],
                          capture_output=True, text=True, timeout=400,
                          env={**os.environ, "QUELL_TOKEN": TOKEN})
    check(done.returncode == 0, f"page.mjs {mode}: {done.stdout} {done.stderr}")
    return json.loads(done.stdout)


POLICY = """policies:
  - {name: depth, match: queue_depth, valid_range: [0, 500], importance: critical}
"""


def page_lives(place):
    quell = place.quell(POLICY)
    status, headers, body = fetch(quell.url + "/")
    if not body.startswith(b"<!doctype html>"):
        raise Skipped("quell was built without its page")
    check(status == 200 and "default-src 'self'" in headers["Content-Security-Policy"],
          f"{status} {headers}")
    seen = browse(place, "live", quell.url)
    return f"{len(seen['pictures'])} pictures looked right"


def page_asks_for_the_token(place):
    quell = place.quell(f"api: {{token_file: {place.write('token', TOKEN)}}}\n")
    if not fetch(quell.url + "/")[2].startswith(b"<!doctype html>"):
        raise Skipped("quell was built without its page")
    seen = browse(place, "token", quell.url)
    return f"{len(seen['pictures'])} pictures looked right"


def demo_comes_out(place):
    """The demo's own verdict, its page while it stays, and a clean end by Ctrl-C."""
    demo = place.run("demo", [place.binary, "demo", "--stay"])

    def stays():
        text = demo.log(400)
        if not demo.alive() or "did NOT come out" in text:
            # Not to be waited for: it is over.
            raise AssertionError(text)
        found = re.search(r"The page is open at (\S+) until", text)
        return found and found.group(1)

    try:
        url = wait_until("the demo is done", stays, DEMO_S_MAX, 0.5)
    except AssertionError as error:
        raise Failed(f"the story did not come out:\n{error}") from error
    seen = browse(place, "look", url)
    check(seen["plotted"] > 0, f"no series is plotted: {seen}")
    check(demo.stop(signal.SIGINT) == 0, "Ctrl-C did not end it with 0")
    check("Kept:" not in demo.log(400), "its folder was left behind")
    return f"{seen['members']} members, {seen['plotted']} series"


CASES = [page_lives, page_asks_for_the_token, demo_comes_out]
