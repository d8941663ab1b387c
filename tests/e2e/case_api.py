"""The API answers as its OpenAPI document says, and the command line works against it."""
import json
import os
import subprocess

import openapi_check
from harness import check, wait_until

ALERT = [{"labels": {"alertname": "DiskFull", "service": "db", "severity": "critical"},
          "annotations": {"summary": "the disk is full"}}]
CHANGE = {"kind": "deploy", "entity": "service/db", "summary": "db 1.2", "source": "ci"}


def with_incident(place):
    """A daemon that has one incident of an alert and a change."""
    quell = place.quell()
    for path, body in (("/api/v1/changes", CHANGE), ("/api/v2/alerts", ALERT)):
        status, _, text = quell.post(path, json.dumps(body).encode())
        check(status in (200, 202, 204), f"POST {path}: {status} {text!r}")
    incident = wait_until("an incident", lambda: quell.get("/api/v1/incidents")["incidents"])[0]
    return quell, incident["id"]


def answers_fit_the_document(place):
    openapi_check.self_test()
    quell, _ = with_incident(place)
    asked, problems = openapi_check.check(quell.url)
    check(not problems, "\n".join(problems[:20]))
    return f"{asked} questions"


def cli(quell, *words):
    """(exit status, standard output, standard error)"""
    done = subprocess.run([quell.place.binary, *words], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "QUELL_URL": quell.url, "QUELL_USER": "ana"})
    return done.returncode, done.stdout, done.stderr


def command_line(place):
    quell, number = with_incident(place)
    rows = [ # words, exit status, part of the output
        (["incidents"], 0, "db: DiskFull"),
        (["incidents", "--state", "resolved"], 0, "No incident of that kind"),
        (["incidents", "--state", "odd"], 2, "is not one of"),
        (["show", str(number)], 0, "Timeline"),
        (["show", "999"], 1, "no incident 999"),
        (["show", "x"], 2, "is not the number of an incident"),
        (["signals"], 0, "No open signal"),
        (["status"], 0, "The last seven days"),
        (["ack", str(number), "--note", "on it"], 0, "acknowledged, by ana"),
        (["feedback", str(number), "right-cause", "db"], 0, "noted, by ana"),
        (["feedback", str(number), "maybe"], 2, "is not one of"),
        (["resolve", str(number)], 0, "resolved, by ana"),
        (["ack", str(number)], 1, "is resolved already"),
        (["approve", "7"], 1, "no action 7"),
        (["audit", quell.data], 0, "the chain holds"),
        (["incidents", "--url", "http://127.0.0.1:1"], 1, "start one with `quell serve`"),
    ]
    for words, status, part in rows:
        got, out, err = cli(quell, *words)
        check(got == status and part in out + err,
              f"quell {' '.join(words)}: {got}\n{out}{err}wanted {status} and '{part}'")
        check("\033" not in out, f"quell {' '.join(words)}: colours in a pipe")
    got, out, _ = cli(quell, "show", str(number), "-o", "json")
    shown = json.loads(out)
    check(shown["state"] == "resolved" and shown["feedback"][0]["by"] == "ana", out)
    return f"{len(rows)} commands"


CASES = [answers_fit_the_document, command_line]
