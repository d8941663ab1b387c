"""The API answers as its OpenAPI document says, and the command line works against it."""
import json
import os
import re
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
    fine = place.write("fine.yaml", "server: {listen: '127.0.0.1:0'}\n")
    rows = [ # words, exit status, part of the output
        (["incidents"], 0, "db: DiskFull"),
        (["incidents", "--state", "resolved"], 0, "No incident of that kind"),
        (["incidents", "--state", "odd"], 2, "is not one of"),
        (["incidents", "--entity", "service/db"], 0, "db: DiskFull"),
        (["incidents", "--entity", "service/cart"], 0, "No incident of that kind"),
        (["incidents", "--by", "ana"], 2, "it takes no such option"),
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
        (["audit", "-o", "json", quell.data], 0, '"ok":true'),
        (["audit", place.path("nowhere")], 2, "nowhere/audit.db: no such thing"),
        (["replay", place.path("nowhere")], 2, "no journal there"),
        (["backtest", "--config", fine, "--data", place.path("nowhere")], 2, "no checkpoint that this build reads"),
        (["backtest", "--config", place.path("nowhere")], 2, "nowhere: no such thing"),
        (["detect", place.path("nowhere")], 2, "nowhere: no such thing"),
        (["forecast", "--horizon", "2", place.path("nowhere")], 2, "nowhere: no such thing"),
        (["diagnose", "--at", "1", place.path("nowhere")], 2, "found none of metrics.csv"),
        (["check", place.path("nowhere")], 2, "nowhere: no such thing"),
        (["serve", "--config", place.path("nowhere")], 2, "nowhere: No such file or directory"),
        (["serve", "--config", fine, "--data", quell.data], 1, "is in use by another quell"),
        (["show", "1", "2"], 2, "usage: quell show"),
        (["ack", "1", "--token-file", place.path("nowhere")], 2, "cannot be read"),
        (["audit", "-o", "csv", quell.data], 2, "-o takes json or table, not 'csv'"),
        (["status", "-o", "csv"], 2, "-o takes json or table, not 'csv'"),
        (["version", "-o", "json"], 0, '{"version":"'),
        (["version", "-o", "table"], 0, "quell "),
        (["version", "--verbose"], 2, "usage: quell version"),
        (["check", "-o", "json"], 0, '{"ok":true,"listen":"127.0.0.1:9428"'),
        (["check", "-o", "json", place.write("odd.yaml", "detct:\n  a: 1\n")], 2, '{"ok":false,"why":"'),
        (["check", "--explain", "-o", "json"], 2, "--explain is a text"),
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
    for verb in ("incidents", "show", "why", "signals", "capacity", "slos", "status", "replay", "backtest", "check",
                 "audit", "version"):
        check("[-o json|table]" in cli(quell, verb, "--help")[1], f"quell {verb} --help does not tell of -o")
    return f"{len(rows)} commands"


def long_work_says_how_far_it_is(place):
    """On a terminal, and nowhere else; and the line is gone at the end."""
    values = [f",{i * 37 % 101},{i * 53 % 97},{i * 71 % 89},{i * 31 % 83}" for i in range(1000)]
    path = place.write("long.csv", "time,a,b,c,d\n" + "\n".join(
        f"{1767571200 + i * 60}{values[i % 1000]}" for i in range(700000)) + "\n")
    argv = [place.binary, "detect", path]
    with open(os.devnull, "wb") as nowhere:
        done = subprocess.run(argv, stdout=nowhere, stderr=subprocess.PIPE, timeout=120, check=False)
        check(done.returncode == 0 and done.stderr == b"", f"into a pipe: {done.stderr[:200]!r}")
        ours, theirs = os.openpty()
        with subprocess.Popen(argv, stdout=nowhere, stderr=theirs) as child:
            os.close(theirs)
            said = b""
            try:
                while more := os.read(ours, 4096):
                    said += more
            except OSError: # how a terminal says that nobody writes any more
                pass
        os.close(ours)
    check(child.returncode == 0 and re.search(rb"judging: \d+ %", said), f"on a terminal: {said[:200]!r}")
    check(said.endswith(b"\r\033[K"), f"what is left on the screen: {said[-40:]!r}")
    return said.decode().split("\r")[1].replace("\033[K", "")


CASES = [answers_fit_the_document, command_line, long_work_says_how_far_it_is]
