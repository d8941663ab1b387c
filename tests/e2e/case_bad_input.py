"""What comes wrong gets its documented answer and its counter, and harms nothing: every row is one
request to one door, with something good before it and behind it that must be there at the end, also
after a kill."""
import collections
import http.client
import re
import select
import signal
import socket
import time

import openapi_check
from bad_rows import LIMIT, rows_of
from bodies import PB, snappy_literal, write_request
from doors import DOOR, DOORS, all_there, packed, padded
from harness import SETTLE_S, Failed, SmallDisk, check, wait_until

CONFIG = f"limits:\n  body_max: {LIMIT >> 20}MiB\n"


# ---- sending -------------------------------------------------------------------------------

def send_in_chunks(quell, path, headers, body):
    """Stops where the server has said no: what it would not read may cost the answer."""
    client = http.client.HTTPConnection("127.0.0.1", quell.port, timeout=60)
    client.putrequest("POST", path)
    for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
        client.putheader(name, value)
    client.endheaders()
    for at in range(0, len(body), 16384):
        # Beyond the limit the answer is due: waits for it rather than writes against it.
        if select.select([client.sock], [], [], 60 if at > LIMIT else 0)[0]:
            break
        part = body[at:at + 16384]
        client.send(b"%x\r\n%s\r\n" % (len(part), part))
    answer = client.getresponse()
    found = answer.status, answer.headers, answer.read()
    client.close()
    return found


def send_half(quell, path, headers, body):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", quell.port)) as s:
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode())
        s.sendall(body[:len(body) // 2])
    return None, {}, b""


def send(quell, live, path, row):
    if row.how == "announce":
        return live.announce(path, row.body, row.headers)
    if row.how == "chunks":
        return send_in_chunks(quell, path, row.headers, row.body)
    if row.how == "cut":
        return send_half(quell, path, row.headers, row.body)
    return live.fetch(row.method, path, row.body, row.headers)


def counts(quell):
    """What was dropped by (source, reason), what was accepted by source, and wrong methods."""
    found, text = collections.Counter(), quell.metrics()
    for source, reason, n in re.findall(r'^ql_records_dropped_total{source="(\w+)",reason="(\w+)"} (\d+)$', text, re.M):
        found[source, reason] += int(n)
    for source, n in re.findall(r'^ql_records_accepted_total{source="(\w+)"} (\d+)$', text, re.M):
        found[source, "accepted"] += int(n)
    for n in re.findall(r'^ql_http_requests_total{path="other",code="405"} (\d+)$', text, re.M):
        found["http", "405"] += int(n)
    return found


def of_the_doors(counter):
    return +collections.Counter({key: n for key, n in counter.items() if key[0] in DOOR or key[0] == "http"})


def sent_good(live, door, mark):
    headers, plain = door.good(mark)
    status, _, text = live.fetch("POST", door.path, packed(headers, plain), headers)
    check(status == door.status, f"{door.source}: good {mark} was answered {status} {text[:200]!r}")


def judge(quell, live, door, row):
    """Sends the row; what it must have added to the counters."""
    what = f"{door.source}, {row.what}"
    before = counts(quell)
    answer = send(quell, live, door.path, row)
    check(answer[0] == row.status, f"{what}: {answer[0]} instead of {row.status}: {answer[2][:200]!r}")
    if row.status == 405:
        check(set(answer[1]["Allow"].split(", ")) >= {"POST"}, f"{what}: Allow: {answer[1]['Allow']}")
    elif row.status is not None:
        live.hold("POST", door.path, answer, row.status)
    source = row.source or door.source
    added = collections.Counter({(source, "accepted"): row.kept})
    if row.reason:
        added[source, row.reason] += row.count
    if row.status == 405: # which is no record of anybody
        added["http", "405"] += 1
    wanted = before + added
    # Some is counted only when it is judged.
    wait_until(f"{what} is counted as {dict(added)}", lambda: all(
        counts(quell)[key] >= wanted[key] for key in added), SETTLE_S)
    return added


def bad_input(place):
    quell = place.quell(CONFIG)
    live = openapi_check.Live(quell.url)
    expected, marks, asked, problems = counts(quell), {door.source: set() for door in DOORS}, 0, []
    for door in DOORS:
        statuses, mark = set(), 2
        for row in rows_of(door):
            sent_good(live, door, mark)
            marks[door.source].add(mark)
            try:
                expected += judge(quell, live, door, row)
            except Failed as problem: # the other rows are told too
                problems.append(str(problem))
            expected[door.source, "accepted"] += 1
            statuses.add(str(row.status))
            mark, asked = mark + 1, asked + 1
        sent_good(live, door, mark)
        marks[door.source].add(mark)
        expected[door.source, "accepted"] += 1
        documented = set(live.operations(door.path)["post"]["responses"]) - openapi_check.IN_NEED
        check(documented - statuses <= {str(door.status), "204"}, f"{door.path}: no row gives {documented - statuses}")
    problems += live.schemas.problems
    check(not problems, "\n".join(problems[:20]))
    all_there(quell, marks)
    quell.settled()
    found, wanted = of_the_doors(counts(quell)), of_the_doors(expected)
    check(found == wanted, f"counted too much: {found - wanted}, too little: {wanted - found}")
    half_requests(quell)
    quell.program.send(signal.SIGKILL)
    quell.program.child.wait()
    quell.start()
    all_there(quell, marks)
    return f"{asked} rows, {sum(map(len, marks.values()))} good ones kept"


def half_requests(quell):
    for text in (b"", b"POST /api/v1/write HTTP/1.1\r\nContent-Le",
                 b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc",
                 b"\x16\x03\x01\x02\x00", b"GET"):
        with socket.create_connection(("127.0.0.1", quell.port)) as s:
            s.sendall(text)


# ---- when it is too much -------------------------------------------------------------------

class Senders:
    """Something good at every door, each time another mark; which of it was acknowledged."""

    def __init__(self, quell):
        self.quell, self.live, self.next = quell, openapi_check.Live(quell.url), 2
        self.marks = {door.source: set() for door in DOORS}

    def send(self, door, size=0):
        headers, plain = door.good(self.next)
        body = packed(headers, padded(headers, plain, size) if size else plain)
        answer = self.live.fetch("POST", door.path, body, headers)
        self.live.hold("POST", door.path, answer)
        if answer[0] == door.status:
            self.marks[door.source].add(self.next)
        self.next += 1
        return answer[0]

    def all_there(self):
        check(not self.live.schemas.problems, "\n".join(self.live.schemas.problems[:20]))
        all_there(self.quell, self.marks)


def full_disk(place):
    """A disk without room: 503 at every door until there is some, and nothing is lost of what was
    acknowledged, also after a kill."""
    with SmallDisk(place, "32m") as disk:
        quell = place.quell()
        disk.move_in(quell)
        senders = Senders(quell)
        for door in DOORS:
            check(senders.send(door) == door.status, f"{door.source} while there is room")
        senders.all_there()
        disk.fill()
        for door in DOORS:
            before = counts(quell)[door.source, "disk_full"]
            wait_until(f"{door.source} is answered 503", lambda door=door: senders.send(door, 500000) == 503, SETTLE_S)
            check(counts(quell)[door.source, "disk_full"] > before, f"{door.source}: not counted as disk_full")
        senders.live.hold("GET", "/-/ready", senders.live.fetch("GET", "/-/ready"), 503)
        disk.empty()
        for door in DOORS:
            wait_until(f"{door.source} is open again", lambda door=door: senders.send(door) == door.status, SETTLE_S)
        senders.all_there()
        quell.program.send(signal.SIGKILL)
        quell.program.child.wait()
        quell.start()
        senders.all_there()
        return f"{senders.next - 2} requests, {sum(map(len, senders.marks.values()))} acknowledged and kept"


def million_new_series(place):
    """A million new series: what is beyond the quota is refused and counted one by one, and a series
    that is known goes on."""
    quota, at_once, times = 1000, 10000, 100
    quell = place.quell(f"limits:\n  series_new_per_min_max: {quota}\n")
    senders, door = Senders(quell), DOOR["remote_write"]
    check(senders.send(door) == 204, "a good one before")
    now, began = int(time.time() * 1000), time.monotonic()
    plain = write_request([({"__name__": "flood", "id": f"turn{i:05}"}, [(now, 1)]) for i in range(at_once)])
    for turn in range(times):
        body = snappy_literal(plain.replace(b"turn", b"%04d" % turn))
        check(quell.post(door.path, body, PB, **{"Content_Encoding": "snappy"})[0] == 204, "the flood is answered")
        check(senders.send(door) == 204, "a good one in between")
    quell.settled()
    minutes = (time.monotonic() - began) // 60 + 2
    refused = counts(quell)["remote_write", "cardinality"]
    added = quell.metric("ql_series_added_total", source="remote_write") - 1
    check(refused + added == at_once * times, f"{refused} refused and {added} taken are no million")
    most = (quota + 64) * minutes  # each shard's share is rounded up
    check(0 < added <= most, f"{added} new series in {minutes} minutes")
    senders.all_there()
    return f"{refused} refused and counted, {added:.0f} taken, {times + 1} samples of a known one kept"


CASES = [bad_input, full_disk, million_new_series]
