"""How would one know that it still works? The self-test, told by status, metrics and command line."""
import subprocess

from harness import check, seconds
from stories import HOUR, MONDAY, Told, noise

NEVER = {"found": 0, "missed": 0, "broken_off": 0}


def lived(place, every):
    """A daemon that has seen half a day of two calm series, and the end of that day."""
    quell = Told(place, f"detect: {{self_test: {every}}}\n")
    rough, end = noise(5), MONDAY + 12 * HOUR
    status = quell.get("/api/v1/status")["self_test"]
    check(status == {**NEVER, "last_delay_s": None, "last_found": None}, f"at the start: {status}")
    quell.live(MONDAY, end, 60, [
        ("queue_depth", {"service": "batch"}, lambda at: 100 + 4 * rough(at)),
        ("latency_ms", {"service": "cart"}, lambda at: 40 + 2 * rough(at + 13))])
    quell.settled()
    return quell, end


def counted(quell):
    return {result: quell.metric("ql_detect_self_tests_total", result=result)
            for result in NEVER}


def the_self_test_is_told(place):
    """A drill that is done is told with its outcome, and by no signal; one that is never due is not."""
    quell, end = lived(place, "1h")
    status, told = quell.get("/api/v1/status")["self_test"], counted(quell)
    check(status["found"] >= 3, f"in half a day of hourly drills: {status}")
    check(told == {key: status[key] for key in NEVER}, f"metrics {told}, status {status}")
    check(sum(told.values()) <= 12, f"more than one an hour: {told}")
    check(0 <= status["last_delay_s"] <= HOUR, f"{status}")
    check(MONDAY < seconds(status["last_found"]) < end, f"{status}")
    check(quell.metric("ql_detect_self_test_found_timestamp_seconds") == seconds(status["last_found"]), f"{status}")
    shown = subprocess.run([place.binary, "status", "--url", quell.url], capture_output=True, text=True,
                           timeout=60, check=True).stdout.splitlines()
    wanted = f"{'self_test.found':<39} {status['found']}"
    check(wanted in shown, f"not '{wanted}' in {shown}")
    seen = quell.signals()
    check(quell.program.stop() == 0, "a clean end")
    with type(place)(place.binary) as other:
        never, _ = lived(other, "0s")
        off = never.get("/api/v1/status")["self_test"]
        check(off == {**NEVER, "last_delay_s": None, "last_found": None}, f"switched off: {off}")
        check(never.signals() == seen, f"drills changed signals: {seen} without {never.signals()}")
    return f"{status['found']} found, {status['missed']} missed, the last after {status['last_delay_s']:g} s"


CASES = [the_self_test_is_told]
