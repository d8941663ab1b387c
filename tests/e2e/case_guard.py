"""Who may command a daemon that listens beyond loopback, over the API and the command line."""
import json
import os
import signal
import subprocess

from harness import Quell, check, wait_until

ALERT = [{"labels": {"alertname": "DiskFull", "service": "db", "severity": "critical"}}]
FIRST, SECOND = "first-0123456789abcdef", "second-0123456789abcdef"


class OpenQuell(Quell):
    """Listens on every address; `token` is what the command line gets in its environment."""

    def launch(self):
        argv = [self.place.binary, "serve", "--listen", f"0.0.0.0:{self.port}", "--data", self.data]
        if self.config_path:
            argv += ["--config", self.config_path]
        self.program = self.place.run("quell", argv)

    def cli(self, *words, **env):
        done = subprocess.run([self.place.binary, *words], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "QUELL_URL": self.url, **env})
        return done.returncode, done.stdout + done.stderr

    def incident(self):
        status, _, _ = self.post("/api/v2/alerts", json.dumps(ALERT).encode())
        check(status in (200, 202), f"a door is shut: {status}")
        rows = wait_until("an incident", lambda: self.get("/api/v1/incidents")["incidents"])
        return rows[0]["id"]

    def ack(self, number, **headers):
        return self.post(f"/api/v1/incidents/{number}/ack", b"{}", **headers)


def nobody_commands_without_a_token(place):
    quell = OpenQuell(place, "")
    number = quell.incident()
    status, _, body = quell.ack(number)
    check(status == 403 and b"api.token_file" in body, f"{status} {body!r}")
    status, text = quell.cli("ack", str(number), QUELL_TOKEN=FIRST)
    check(status == 1 and "api.token_file" in text, text)
    check("without a token" in quell.program.log(200), "no warning at the start")
    return "doors open, commands refused"


def the_token_commands(place):
    path = place.write("token", FIRST + "\n")
    quell = OpenQuell(place, f"api: {{token_file: {path}}}\n")
    number = quell.incident()
    status, headers, body = quell.ack(number)
    check(status == 401 and b"api.token_file" in body, f"{status} {body!r}")
    check(quell.ack(number, Authorization=f"Bearer {SECOND}")[0] == 401, "a wrong token commands")
    check(quell.cli("ack", str(number))[0] == 1, "the command line commands without a token")
    status, text = quell.cli("ack", str(number), "--token-file", path, QUELL_TOKEN=SECOND)
    check(status == 0, text)
    # The file is read again at SIGHUP; one that holds no token leaves all as it was.
    place.write("token", "short\n")
    quell.program.send(signal.SIGHUP)
    wait_until("the refusal", lambda: "holds no token" in quell.program.log(200))
    check(quell.ack(number, Authorization=f"Bearer {FIRST}")[0] == 200, "the old token is gone")
    place.write("token", SECOND + "\n")
    quell.program.send(signal.SIGHUP)
    wait_until("the new token", lambda: quell.ack(number, Authorization=f"Bearer {FIRST}")[0] == 401)
    status, text = quell.cli("resolve", str(number), QUELL_TOKEN=SECOND)
    check(status == 0, text)
    for secret in (FIRST, SECOND):
        check(secret not in quell.program.log(1000), "a token stands in the log")
        check(secret not in json.dumps(quell.get("/api/v2/status")), "the API tells a token")
    return "401, SIGHUP, both ways of the command line"


def a_token_that_cannot_be_read_is_no_start(place):
    config = place.write("bad.yaml", "api: {token_file: /nowhere/token}\n")
    done = subprocess.run([place.binary, "serve", "--config", config, "--data", place.path("other"),
                           "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=30)
    check(done.returncode == 2 and "api.token_file: /nowhere/token" in done.stderr,
          f"{done.returncode} {done.stderr}")


CASES = [nobody_commands_without_a_token, the_token_commands, a_token_that_cannot_be_read_is_no_start]
