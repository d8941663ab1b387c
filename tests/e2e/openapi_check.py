#!/usr/bin/env python3
"""Holds live answers of a running quell against its own OpenAPI document.

usage: tests/e2e/openapi_check.py http://127.0.0.1:9428

Every GET of the document is asked, with ids taken from the lists; its status must be one
that is documented and its body must fit the schema. Wrong questions must get documented
errors. Standard library only; the schemas are the subset that openapi.json uses, and a
word outside of that subset is itself a problem.
"""
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
            for part in schema["$ref"].lstrip("#/").split("/"):
                node = node[part]
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

    def fetch(self, method, path, body=None, content_type="application/json"):
        headers = {"Content-Type": content_type} if body is not None else {}
        request = urllib.request.Request(self.base + path, data=body, headers=headers, method=method)
        try:
            with _direct.open(request, timeout=20) as answer:
                kind = answer.headers.get_content_type()
                text = answer.readline() if kind == STREAMS else answer.read()
                return answer.status, kind, text
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get_content_type(), error.read()

    def ask(self, method, pattern, path, body=None, want=None):
        """The parsed answer, or None when it is no JSON or did not fit."""
        status, kind, text = self.fetch(method, path, body)
        where = f"{method} {path} -> {status}"
        self.asked += 1
        answers = self.document["paths"][pattern][method.lower()]["responses"]
        if str(status) not in answers or (want is not None and status != want):
            self.schemas.problems.append(f"{where}: wanted {want or 'a documented status'}, {text[:200]!r}")
            return None
        contents = answers[str(status)].get("content", {})
        if kind not in contents:
            self.schemas.problems.append(f"{where}: content type {kind} is not documented")
            return None
        if kind != "application/json":
            return None
        value = json.loads(text)
        self.schemas.check(value, contents[kind]["schema"], where)
        return value

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
    for pattern, operations in live.document["paths"].items():
        if "get" in operations and "{" not in pattern and pattern not in (
                "/api/v1/known-series", "/api/v1/bands", "/api/v1/forecast", "/api/v1/query",
                "/api/v1/query_range", "/api/v1/series"):
            live.get(pattern)
    for method, pattern, path, body, status in WRONG:
        live.ask(method, pattern, path, body, status)
    status, _, _ = live.fetch("POST", "/api/v1/incidents/1/ack", b"by=x",
                              "application/x-www-form-urlencoded")
    if status != 415:
        live.schemas.problems.append(f"a form was taken as a command: {status}")


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
