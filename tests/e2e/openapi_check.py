#!/usr/bin/env python3
"""Holds live answers of a running quell against its own OpenAPI document.

usage: tests/e2e/openapi_check.py http://127.0.0.1:9428

Every GET of the document is asked, with ids taken from the lists; its status must be one
that is documented and its body must fit the schema. Wrong questions must get documented
errors. Every door gets what makes each of its documented answers, but those for which the
daemon itself must be in need. Every address is asked with methods that it does not have.
Standard library only; the schemas are the subset that openapi.json uses, and a word outside
of that subset is itself a problem.
"""
import http.client
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

WORDS = {"type", "nullable", "properties", "required", "additionalProperties", "items", "enum",
         "pattern", "format", "minimum", "maximum", "minItems", "maxItems", "description", "default",
         "$ref"}
DATE_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
         "number": (int, float)}
STREAMS = "text/event-stream"
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Schemas:
    """Validates values; problems are collected with the place where they were found."""

    def __init__(self, document):
        self.document = document
        self.problems = []

    def resolve(self, schema):
        while "$ref" in schema:
            node = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                node = node[part.replace("~1", "/").replace("~0", "~")]
            schema = node
        return schema

    def check(self, value, schema, where):
        schema = self.resolve(schema)
        for word in set(schema) - WORDS:
            self.problems.append(f"{where}: the schema uses '{word}', which is not checked")
        if value is None:
            if not schema.get("nullable"):
                self.problems.append(f"{where}: null is not allowed")
            return
        kind = TYPES.get(schema.get("type"))
        if kind and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            self.problems.append(f"{where}: {value!r:.60} is no {schema['type']}")
            return
        if "enum" in schema and value not in schema["enum"]:
            self.problems.append(f"{where}: {value!r:.60} is not one of {schema['enum']}")
        {dict: self.check_object, list: self.check_array, str: self.check_text}.get(
            type(value), self.check_number)(value, schema, where)

    def check_object(self, value, schema, where):
        known = schema.get("properties", {})
        more = schema.get("additionalProperties", True)
        for name in schema.get("required", []):
            if name not in value:
                self.problems.append(f"{where}: '{name}' is missing")
        for name, member in value.items():
            if name in known:
                self.check(member, known[name], f"{where}.{name}")
            elif more is False:
                self.problems.append(f"{where}: '{name}' is not documented")
            elif isinstance(more, dict):
                self.check(member, more, f"{where}.{name}")

    def check_array(self, value, schema, where):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            self.problems.append(f"{where}: {len(value)} elements")
        for index, element in enumerate(value):
            self.check(element, schema.get("items", {}), f"{where}[{index}]")

    def check_text(self, value, schema, where):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            self.problems.append(f"{where}: {value!r:.60} does not match {schema['pattern']}")
        if schema.get("format") == "date-time" and not DATE_TIME.match(value):
            self.problems.append(f"{where}: {value!r:.60} is no date-time")

    def check_number(self, value, schema, where):
        if isinstance(value, bool):
            return
        if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            self.problems.append(f"{where}: {value} is out of range")


class Live:
    """Asks a server and holds the answers against the document."""

    def __init__(self, base):
        self.base = base.rstrip("/")
        self.document = json.loads(self.fetch("GET", "/api/v1/openapi.json")[2])
        self.schemas = Schemas(self.document)
        self.asked = 0

    def operations(self, pattern):
        return self.schemas.resolve(self.document["paths"][pattern])

    def fetch(self, method, path, body=None, headers=None):
        """(status, headers, body)"""
        request = urllib.request.Request(self.base + path, data=body, headers=headers or {}, method=method)
        try:
            with _direct.open(request, timeout=60) as answer:
                stream = answer.headers.get_content_type() == STREAMS
                return answer.status, answer.headers, answer.readline() if stream else answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def announce(self, path, body_bytes, headers):
        """The answer to a POST of which the body is announced and does not come."""
        client = http.client.HTTPConnection(urllib.parse.urlsplit(self.base).netloc, timeout=60)
        client.putrequest("POST", path)
        for name, value in {**headers, "Content-Length": str(body_bytes)}.items():
            client.putheader(name, value)
        client.endheaders()
        answer = client.getresponse()
        found = answer.status, answer.headers, answer.read()
        client.close()
        return found

    def hold(self, method, pattern, answer, want=None):
        """The parsed body, or None when it is no JSON or the answer is not as documented."""
        status, headers, text = answer
        where = f"{method} {pattern} -> {status}"
        problem = self.schemas.problems.append
        self.asked += 1
        answers = self.operations(pattern)[method.lower()]["responses"]
        if str(status) not in answers or (want is not None and status != want):
            problem(f"{where}: wanted {want or 'a documented status'}, {text[:200]!r}")
            return None
        documented = self.schemas.resolve(answers[str(status)])
        for name, header in documented.get("headers", {}).items():
            self.schemas.check(headers.get(name), header["schema"], f"{where}: {name}")
        contents = documented.get("content", {})
        kind = headers.get_content_type() if "Content-Type" in headers else None
        if kind not in contents and (contents or kind or text):
            problem(f"{where}: content type {kind} is not documented, {text[:200]!r}")
            return None
        if kind != "application/json":
            return None
        value = json.loads(text)
        self.schemas.check(value, contents[kind]["schema"], where)
        return value

    def ask(self, method, pattern, path, body=None, want=None):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return self.hold(method, pattern, self.fetch(method, path, body, headers), want)

    def get(self, pattern, query="", want=200, **holes):
        path = pattern
        for name, value in holes.items():
            path = path.replace("{" + name + "}", str(value))
        return self.ask("GET", pattern, path + query, want=want)


# Questions that are wrong, and the status they must get.
WRONG = [
    ("GET", "/api/v1/incidents", "/api/v1/incidents?state=odd", None, 400),
    ("GET", "/api/v1/incidents", "/api/v1/incidents?limit=0", None, 400),
    ("GET", "/api/v1/incidents/{id}", "/api/v1/incidents/4000000000", None, 404),
    ("GET", "/api/v1/signals", "/api/v1/signals?since=once", None, 400),
    ("GET", "/api/v1/forecast", "/api/v1/forecast?match[]=up&horizon=soon", None, 400),
    ("GET", "/api/v1/known-series", "/api/v1/known-series", None, 400),
    ("GET", "/api/v1/known-series", "/api/v1/known-series?match[]=%7B", None, 400),
    ("GET", "/api/v1/bands", "/api/v1/bands?series=1", None, 400),
    ("GET", "/api/v2/alerts", "/api/v2/alerts?filter=%3D", None, 400),
    ("POST", "/api/v1/incidents/{id}/ack", "/api/v1/incidents/4000000000/ack", b"{}", 404),
    ("POST", "/api/v1/actions/{id}/approve", "/api/v1/actions/4000000000/approve", b"{}", 404),
]


def ask_all(live):
    incidents = live.get("/api/v1/incidents", "?merged=true&limit=1000") or {"incidents": []}
    for incident in incidents["incidents"][:20]:
        live.get("/api/v1/incidents/{id}", id=incident["id"])
    series = live.get("/api/v1/known-series", "?match[]=%7B%7D") or {"series": []}
    live.get("/api/v1/bands", "?match[]=%7B%7D&limit=5")
    live.get("/api/v1/forecast", "?match[]=%7B%7D&horizon=1h")
    for one in series["series"][:5]:
        live.get("/api/v1/bands", f"?series={one['id']}&start=24h")
    live.get("/api/v1/query", "?query=up")
    live.get("/api/v1/query_range", "?query=up&start=0&end=60&step=15")
    live.get("/api/v1/series", "?match[]=up")
    for pattern in live.document["paths"]:
        if "get" in live.operations(pattern) and "{" not in pattern and pattern not in (
                "/api/v1/known-series", "/api/v1/bands", "/api/v1/forecast", "/api/v1/query",
                "/api/v1/query_range", "/api/v1/series"):
            live.get(pattern)
    for kind in ("text/plain", "application/openmetrics-text"):
        answer = live.fetch("GET", "/metrics", headers={"Accept": kind})
        live.hold("GET", "/metrics", answer)
        if answer[1].get_content_type() != kind:
            live.schemas.problems.append(f"/metrics: {answer[1].get_content_type()} where {kind} was asked for")
    for method, pattern, path, body, status in WRONG:
        live.ask(method, pattern, path, body, status)
    status, _, _ = live.fetch("POST", "/api/v1/incidents/1/ack", b"by=x",
                              {"Content-Type": "application/x-www-form-urlencoded"})
    if status != 415:
        live.schemas.problems.append(f"a form was taken as a command: {status}")


# What a door takes, with its answer; nothing is in it, and it is right all the same.
JSON, PB = "application/json", "application/x-protobuf"
WRITE = {"Content-Type": PB, "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
OTLP = [({"Content-Type": JSON}, b"{}", 200), ({"Content-Type": PB}, b"", 200)]
NOTHING = {
    "/api/v1/write": [(WRITE, b"\0", 204)],
    "/v1/metrics": OTLP + [(WRITE, b"\0", 204)], "/v1/logs": OTLP, "/v1/traces": OTLP,
    "/api/v2/alerts": [({"Content-Type": JSON}, b"[]", 200)],
    "/api/v1/changes": [({"Content-Type": JSON}, b"[]", 200)],
    "/api/v1/alerts": [({"Content-Type": JSON}, b"[]", 410)],
}
IN_NEED = {"503"}   # not without a full disk, or threads that are all busy
TOO_MANY = 2 << 30  # bytes; no limits.body_max can be so large


def door_answers(live, pattern, kinds):
    """Posts what makes every kind of answer; which there were."""
    seen = set()

    def post(headers, body, want):
        answer = live.announce(pattern, body, headers) if isinstance(body, int) else live.fetch(
            "POST", pattern, body, headers)
        live.hold("POST", pattern, answer, want)
        seen.add(str(answer[0]))
    for headers, nothing, good in kinds:
        post(headers, nothing, good)
        post(headers, TOO_MANY, 413)
        if good != 410:
            post(headers, b"\xff{", 400)
            post({**headers, "Content-Type": "text/plain"}, nothing, 415)
            post({**headers, "Content-Encoding": "br"}, nothing, 415)
    return seen


def doors(live):
    canonical = {id(live.operations(pattern)["post"]): kinds for pattern, kinds in NOTHING.items()}
    for pattern in live.document["paths"]:
        operation = live.operations(pattern).get("post", {})
        if "doors" not in operation.get("tags", []):
            continue
        if id(operation) not in canonical:
            live.schemas.problems.append(f"{pattern}: nobody knows what to post to this door")
            continue
        seen = door_answers(live, pattern, canonical[id(operation)])
        unseen = set(operation["responses"]) - seen - IN_NEED
        if unseen:
            live.schemas.problems.append(f"POST {pattern}: nothing was answered with {sorted(unseen)}")


def other_methods(live):
    """405 with Allow wherever the document has no operation, 404 where it has no address."""
    error = {"$ref": "#/components/schemas/Error"}
    for pattern in live.document["paths"]:
        known = {method.upper() for method in live.operations(pattern)}
        for method in {"GET", "POST", "PUT", "DELETE"} - known:
            status, headers, text = live.fetch(method, pattern.replace("{id}", "1"))
            allow = set(headers.get("Allow", "").split(", "))
            where = f"{method} {pattern} -> {status}"
            live.asked += 1
            if status != 405 or ("{" not in pattern and allow - {"HEAD"} != known):
                live.schemas.problems.append(f"{where}: wanted 405 and {known}, not {allow}")
            else:
                live.schemas.check(json.loads(text), error, where)
    status, _, text = live.fetch("POST", "/v1/nothing", b"{}", {"Content-Type": JSON})
    if status != 404:
        live.schemas.problems.append(f"an address that is not there: {status}")
    live.schemas.check(json.loads(text), error, "404")


def commands(base, incident, approve, reject):
    """What changes something, on an open incident and two actions that await approval: each is
    answered with 200 and with what it became. (questions asked, problems found)"""
    live = Live(base)
    rows = [
        ("/api/v1/actions/{id}/approve", approve, {}),
        ("/api/v1/actions/{id}/reject", reject, {"note": "not today"}),
        ("/api/v1/incidents/{id}/ack", incident, {}),
        ("/api/v1/incidents/{id}/feedback", incident, {"verdict": "true", "note": "seen"}),
        ("/api/v1/incidents/{id}/resolve", incident, {}),
    ]
    for pattern, number, more in rows:
        body = json.dumps({"by": "ana", **more}).encode()
        live.ask("POST", pattern, pattern.replace("{id}", str(number)), body, 200)
    for pattern, number, more in rows[:3] + rows[4:]: # said again it is a conflict
        live.ask("POST", pattern, pattern.replace("{id}", str(number)), json.dumps(more).encode(), 409)
    return live.asked, live.schemas.problems


def check(base):
    """(questions asked, problems found)"""
    live = Live(base)
    ask_all(live)
    doors(live)
    other_methods(live)
    return live.asked, live.schemas.problems


def self_test():
    """The validator must be able to say no."""
    rows = [
        ({"type": "string"}, 1), ({"type": "integer"}, 1.5), ({"type": "integer"}, True),
        ({"type": "string"}, None), ({"enum": ["a"]}, "b"), ({"type": "integer", "minimum": 0}, -1),
        ({"type": "object", "required": ["a"]}, {}), ({"type": "array", "maxItems": 1}, [1, 2]),
        ({"type": "object", "properties": {}, "additionalProperties": False}, {"a": 1}),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"a": 1}),
        ({"type": "string", "format": "date-time"}, "yesterday"),
        ({"type": "string", "pattern": "^[0-9]+$"}, "x"), ({"type": "string", "odd": 1}, "x"),
        ({"$ref": "#/components/schemas/N"}, "x"), ({"type": "array", "items": {"type": "string"}}, [1]),
    ]
    for schema, value in rows:
        schemas = Schemas({"components": {"schemas": {"N": {"type": "number"}}}})
        schemas.check(value, schema, "value")
        if len(schemas.problems) != 1:
            sys.exit(f"self-test: {schema} and {value!r} gave {schemas.problems}")


def main(argv):
    if len(argv) != 2:
        sys.exit(__doc__.split("\n\n")[1])
    self_test()
    asked, problems = check(argv[1])
    for problem in problems:
        print(problem)
    print(f"{asked} questions, {len(problems)} problems")
    return 1 if problems or asked == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
