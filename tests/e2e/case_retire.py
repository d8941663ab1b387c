"""Idle series are forgotten: a flood fills a small table, goes idle, and new series come in again."""
from case_promql import send
from harness import check, wait_until

START = 1767571200
LIMITS = "limits:\n  series_max: {}\nengine:\n  tick: 1s\n"


def write(quell, at, names):
    send(quell.url + "/api/v1/write",
         [({"__name__": name, "id": str(number)}, [(at * 1000, at % 7)]) for name, number in names])


def steady(quell, at, seconds):
    """Ten series go on, in steps that are no pause of the daemon."""
    for at in range(at, at + seconds, 20):
        write(quell, at, [("steady", i) for i in range(10)])
    return at + 20


def status(quell, key):
    return quell.get("/api/v1/status")[key]


def forgotten_are_found(quell, at, count):
    """By name and labels in a range in which they lived, with their samples; not after it."""
    listed = quell.get("/api/v1/series", **{"match[]": "flood", "start": at - 60, "end": at + 60})["data"]
    check(len(listed) == count, f"{len(listed)} of the flood are listed, not {count}")
    later = quell.get("/api/v1/series", **{"match[]": "flood", "start": at + 600, "end": at + 900})["data"]
    check(len(later) == 0, f"{len(later)} are listed after they ended")
    ids = quell.get("/api/v1/label/id/values", **{"match[]": "flood", "start": at - 60})["data"]
    check(len(ids) == count, f"{len(ids)} values of a label, not {count}")
    counted = quell.get("/api/v1/query", query="count(flood)", time=at + 10)["data"]["result"]
    check(counted and counted[0]["value"][1] == str(count), f"count(flood) is {counted}, not {count}")
    points = quell.get("/api/v1/query_range", query=f"flood{{id='{ids[0]}'}}", start=at, end=at + 60,
                       step=30)["data"]["result"]
    check(points and points[0]["values"][0] == [at, str(at % 7)], f"the samples of one: {points}")


def idle_series_make_room(place):
    quell = place.quell(LIMITS.format(1000), clock="input")
    at = steady(quell, START, 200)
    flood_at, taken = at, 990
    write(quell, at, [("flood", i) for i in range(1500)])
    wait_until("the flood is refused", lambda: quell.dropped("remote_write", reason="cardinality") >= 500)
    write(quell, at + 1, [("late", 0)])
    at = steady(quell, at + 20, 1000)
    wait_until("the idle are forgotten", lambda: status(quell, "series_retired") >= 100)
    refused = quell.dropped("remote_write", reason="cardinality")
    write(quell, at, [("late", i) for i in range(50)])
    wait_until("new series come in", lambda: len(quell.series("late")) == 50)
    check(quell.dropped("remote_write", reason="cardinality") == refused, "none of them was refused")
    known, retired = status(quell, "series"), status(quell, "series_retired")
    check(len(quell.series("steady")) == 10, "the steady ones are there")
    check(known <= 900 and quell.metric("ql_series_retired_total", shard="0") == retired,
          f"{known} known, {retired} forgotten")
    forgotten_are_found(quell, flood_at, taken)
    quell.program.stop()
    quell.start()
    check(status(quell, "series") == known, f"{status(quell, 'series')} after a restart, not {known}")
    check(len(quell.series("late")) == 50, "the late ones are there")
    forgotten_are_found(quell, flood_at, taken)
    at = steady(quell, at + 20, 100)
    write(quell, at, [("later", i) for i in range(50)])
    wait_until("after it too", lambda: len(quell.series("later")) == 50)
    return f"{retired} forgotten, {known} known"


def a_lower_limit_starts(place):
    quell = place.quell(LIMITS.format(5000), clock="input")
    at = steady(quell, START, 100)
    write(quell, at, [("flood", i) for i in range(2000)])
    wait_until("all are taken", lambda: status(quell, "series") == 2010)
    at = steady(quell, at + 20, 100)
    quell.program.stop()
    place.write("quell.yaml", LIMITS.format(1000))
    quell.start()
    check("the longest idle are forgotten" in quell.program.log(200), "the log says so")
    at = steady(quell, at, 1000)
    wait_until("the idle are forgotten", lambda: status(quell, "series") <= 900)
    write(quell, at, [("late", 0)])
    wait_until("a new one comes in", lambda: len(quell.series("late")) == 1)
    check(len(quell.series("steady")) == 10, "the steady ones are there")


CASES = [idle_series_make_room, a_lower_limit_starts]
