"""What every end-to-end case needs: a running quell, other programs beside it, patience.

Standard library only. Everything listens on loopback, lives in one temporary folder and is
ended by its process id.
"""
import datetime
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
READY_S, STOP_S, SETTLE_S = 60, 60, 120  # what a slow, busy machine may take; nobody waits longer
CRASHES = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE)
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """The case does not hold; the text says what was seen and what was wanted."""


class Ended(Failed):
    """A program that should run has ended: nothing to wait for."""


class Skipped(Exception):
    """The case cannot run here; the text says why."""


def check(truth, text):
    if not truth:
        raise Failed(text)


def need(program):
    """The path of a program, or a reason to skip."""
    found = shutil.which(program)
    if found is None:
        raise Skipped(f"{program} is not installed")
    return found


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fetch(url, body=None, headers=None, method=None, timeout=10):
    """(status, headers, bytes); a refusal is an answer, not an exception."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with _direct.open(request, timeout=timeout) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def fetch_json(url, **more):
    status, _, body = fetch(url, **more)
    check(status == 200, f"GET {url}: {status} {body[:300]!r}")
    return json.loads(body)


def wait_until(what, ask, seconds=60, every=0.1):
    """The first true answer of `ask`. Refused connections count as "not yet"."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            last = ask()
            if last:
                return last
        except Ended:
            raise
        except (OSError, Failed, LookupError, http.client.HTTPException) as error:
            last = error
        time.sleep(every)
    raise Failed(f"not within {seconds} s: {what} (last: {last!r})")


def seconds(text):
    """Of a time as the API writes it."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def metric(text, name, **labels):
    """Sum of a metric's samples that have these labels, from exposition text. A metric that is
    not there at all is a mistake of who asks: zero would hide a name that has changed."""
    total, known = 0.0, False
    for line in text.splitlines():
        head, _, value = line.rpartition(" ")
        if head.split("{")[0] != name:
            continue
        known = True
        if all(f'{key}="{wanted}"' in head for key, wanted in labels.items()):
            total += float(value)
    check(known or f"# TYPE {name} " in text, f"there is no metric {name}")
    return total


class Program:
    """A child process with its output in a file."""

    def __init__(self, name, argv, folder):
        self.name = name
        self.log_path = os.path.join(folder, f"{name}.log")
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder,
                                          stdin=subprocess.DEVNULL)

    def alive(self):
        return self.child.poll() is None

    def send(self, number):
        if self.alive():
            os.kill(self.child.pid, number)

    def stop(self, number=signal.SIGTERM):
        """Ends it and returns its exit status; SIGKILL only when it does not listen."""
        self.send(number)
        try:
            return self.child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self.child.wait()
            return None

    def log(self, lines=30):
        with open(self.log_path, errors="replace") as log:
            return "".join(log.readlines()[-lines:])


class Place:
    """One case's temporary folder and all that runs in it."""

    def __init__(self, quell):
        self.binary = os.path.abspath(quell)
        self.folder = tempfile.mkdtemp(prefix="quell-e2e-")
        self.programs = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        bad = []
        for program in reversed(self.programs):
            lived = program.alive()
            status = program.stop()
            if program.name == "quell" and (status in CRASHES or (lived and status != 0)):
                bad.append(f"quell ended with {status}:\n{program.log()}")
        shutil.rmtree(self.folder, ignore_errors=True)
        if bad and kind is None:
            raise Failed("\n".join(bad))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def run(self, name, argv):
        program = Program(name, argv, self.folder)
        self.programs.append(program)
        return program

    def quell(self, config="", clock="wall"):
        return Quell(self, config, clock)

    def logs(self):
        return "\n".join(f"--- {p.name}\n{p.log()}" for p in self.programs)


class SmallDisk:
    """A file system of its own below the case's folder, which can be filled to the last byte."""

    def __init__(self, place, size):
        self.place = place
        self.path = place.path("disk")
        self.filler = os.path.join(self.path, "filler")
        os.mkdir(self.path)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.path],
                                 capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            raise Skipped(f"a small disk cannot be mounted: {mounted.stderr.strip()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in self.place.programs:
            program.stop()
        subprocess.run(["umount", "-l", self.path], check=False)

    def fill(self, leave=0):
        """To the last byte, or until about `leave` bytes are free."""
        with open(self.filler, "wb") as filler:
            try:
                while leave == 0 or self.free() > leave:
                    filler.write(b"\0" * 65536)
                    filler.flush()
            except OSError:
                pass

    def free(self):
        about = os.statvfs(self.path)
        return about.f_bavail * about.f_frsize

    def empty(self):
        os.unlink(self.filler)

    def move_in(self, quell):
        """Starts the daemon anew with its data on this disk."""
        quell.program.stop()
        quell.data = os.path.join(self.path, "data")
        quell.start()


class Quell:
    """A running daemon on a free port."""

    def __init__(self, place, config="", clock="wall"):
        """`clock` "input": its time follows the samples."""
        self.place, self.clock = place, clock
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config_path = place.write("quell.yaml", config) if config else None
        self.data = place.path("data")
        self.start()

    def start(self):
        self.launch()
        wait_until("quell is ready", self.ready, READY_S)

    def launch(self):
        """Starts it without waiting: with a full disk it runs and is never ready."""
        argv = [self.place.binary, "serve", "--listen", f"127.0.0.1:{self.port}",
                "--data", self.data, "--clock", self.clock]
        if self.config_path:
            argv += ["--config", self.config_path]
        self.program = self.place.run("quell", argv)

    def ready(self):
        if not self.program.alive():
            raise Ended(f"quell ended with {self.program.child.returncode}:\n{self.program.log()}")
        return fetch(f"{self.url}/-/ready")[0] == 200

    def settled(self):
        """All that was acknowledged is judged, joined and stored. Where time follows the samples
        the last second of it may wait for what comes next."""
        now = self.get("/api/v1/status")["now"]

        def judged():
            at = self.get("/api/v1/status")["judged"]
            return at is not None and (at > now if self.clock == "wall"
                                       else seconds(at) > seconds(now) - 1)
        if now is not None:
            wait_until(f"all until {now} is judged", judged, SETTLE_S)

    def reload(self, text, wanted="configuration reloaded"):
        """Another file and SIGHUP; `wanted` is what the log must say of it."""
        said = self.program.log(1000).count(wanted)
        self.place.write("quell.yaml", text)
        self.program.send(signal.SIGHUP)
        wait_until(wanted, lambda: self.program.log(1000).count(wanted) > said, READY_S)

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters, doseq=True)
        return fetch_json(f"{self.url}{path}{'?' + query if query else ''}")

    def post(self, path, body, content_type="application/json", **headers):
        headers["Content-Type"] = content_type
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        return fetch(self.url + path, body=body, headers=headers, method="POST")

    def metrics(self):
        return fetch(f"{self.url}/metrics")[2].decode()

    def metric(self, name, **labels):
        return metric(self.metrics(), name, **labels)

    def accepted(self, source):
        return self.metric("ql_records_accepted_total", source=source)

    def dropped(self, source, **labels):
        return self.metric("ql_records_dropped_total", source=source, **labels)

    def series(self, selector, limit=10000):
        return self.get("/api/v1/known-series", **{"match[]": selector, "limit": limit})["series"]

    def points(self, selector, **more):
        answer = self.get("/api/v1/bands", **{"match[]": selector}, **more)
        return [s["points"] for s in answer["series"]]
