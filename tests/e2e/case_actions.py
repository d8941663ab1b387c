"""What is done about a cause: proposed, approved by people, run, and what a stop makes of it."""
import contextlib
import json
import os
import sqlite3

import openapi_check
from case_api import cli
from harness import Quell, check, wait_until
from stories import HOUR, MONDAY, Told, noise

CONFIG = """
act: {{mode: approve, outcome_grace: 1d}}
runbooks:
- name: mend
  entity: service/*
  mode: approve
  score_min: 0
  steady: 0s
  approval: 1d
  verify: 10m
  steps:
{steps}
"""
STEP = 60


class Ill(Told):
    """A daemon whose time follows the samples, and two services that get slow."""

    def __init__(self, place, steps):
        self.lived = MONDAY
        lines = "".join(f"  - {{name: s{i}, run: {json.dumps(step)}, timeout: 1m}}\n" for i, step in enumerate(steps))
        Quell.__init__(self, place, CONFIG.format(steps=lines), clock="input")

    def more(self, seconds, chunk=STEP):
        fault, rough = MONDAY + 6 * HOUR, {"cart": noise(11), "mail": noise(12)}
        self.live(self.lived, self.lived + seconds, STEP, [
            ("latency_ms", {"service": name},
             lambda at, z=z: (400 if at >= fault else 40) + 2 * z(at)) for name, z in rough.items()], chunk=chunk)
        self.lived += seconds

    def actions(self, state):
        return [a for a in self.get("/api/v1/actions", limit=100)["actions"] if a["state"] == state]

    def fall_ill(self, count):
        """The actions that await approval then."""
        self.more(6 * HOUR, HOUR)
        self.settled()
        for _ in range(60):
            self.more(STEP)
            self.settled()
            if len(self.actions("awaiting approval")) >= count:
                break
        found = self.actions("awaiting approval")
        check(len(found) >= count, f"{self.get('/api/v1/actions')} {self.get('/api/v1/incidents')} {self.signals()}")
        return found

    def action(self, number):
        return next(a for a in self.get("/api/v1/actions", limit=100)["actions"] if a["id"] == number)


def approved_by_hand(place):
    """`quell approve`: the command runs once, with the suspect's name, and the audit tells of it."""
    ran = place.path("ran")
    quell = Ill(place, [["/bin/sh", "-c", f"echo $0 >> {ran}", "{name}"]])
    action = quell.fall_ill(1)[0]
    check(not os.path.exists(ran), "it ran before anybody approved")
    status, out, err = cli(quell, "approve", str(action["id"]), "--note", "go on")
    check(status == 0 and "by ana" in out, f"{status} {out}{err}")
    wait_until("it ran", lambda: os.path.exists(ran))
    after = wait_until("its outcome is known", lambda: [quell.action(action["id"])]
                       if quell.action(action["id"])["state"] == "verifying" else None)[0]
    with open(ran, encoding="ascii") as file:
        words = file.read().split()
    check(words in (["cart"], ["mail"]), f"{words}")
    status, out, err = cli(quell, "approve", str(action["id"]))
    check(status == 1, f"approved twice: {status} {out}{err}")
    check([h["state"] for h in after["history"] if h["by"] == "ana"] == ["running"], f"{after['history']}")
    quell.program.stop()
    status, out, err = cli(quell, "audit", quell.data)
    check(status == 0 and "the chain holds" in out + err, f"{status} {out}{err}")
    with contextlib.closing(sqlite3.connect(os.path.join(quell.data, "audit.db"))) as db:
        tables = [name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in db.execute(f"SELECT * FROM {table}") if "ana" in row]
    check(len(rows) == 1, f"{tables}: {rows}")
    return after["reason"]


def commands_fit_the_document(place):
    """Acknowledge, resolve, feedback, approve and reject as the OpenAPI document says."""
    quell = Ill(place, [["/bin/true"]])
    actions = quell.fall_ill(2)
    asked, problems = openapi_check.commands(quell.url, actions[0]["incident"], actions[0]["id"], actions[1]["id"])
    check(not problems, "\n".join(problems[:20]))
    return f"{asked} questions"


def stopped_between_steps(place):
    """The step that runs ends well because of the stop: the next one is not run, and is told."""
    up, second = place.path("up"), place.path("second")
    trap = f"trap 'exit 0' TERM; echo > {up}; while :; do sleep 0.05; done"
    quell = Ill(place, [["/bin/sh", "-c", trap], ["/bin/touch", second]])
    number = quell.fall_ill(1)[0]["id"]
    status, out, err = cli(quell, "approve", str(number))
    check(status == 0, f"{status} {out}{err}")
    wait_until("the first step runs", lambda: os.path.exists(up))
    check(quell.program.stop() == 0, quell.program.log())
    quell.start()
    states = {a["step"]: (a["state"], a["reason"]) for a in quell.get("/api/v1/actions", limit=100)["actions"]}
    check(not os.path.exists(second), "the second step ran")
    check(any("not run: the daemon stopped" in reason for _, reason in states.values()), f"{states}")
    return f"{states}"


CASES = [approved_by_hand, commands_fit_the_document, stopped_between_steps]
