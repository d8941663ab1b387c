"""What comes wrong gets its documented answer and its counter, and harms nothing."""
import gzip
import json
import socket
import struct

from harness import check, wait_until

ALERT = json.dumps([{"labels": {"alertname": "A", "service": "a"}}]).encode()
PB = "application/x-protobuf"


def snappy_literal(raw):
    """A snappy block of literals only: valid, if not small."""
    out, size = bytearray(), len(raw)
    while size >= 0x80:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    for at in range(0, len(raw), 65536):
        part = raw[at:at + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    return bytes(out)


def bad_input(place):
    quell = place.quell()
    write = {"Content_Encoding": "snappy"}
    rows = [
        # what, path, body, content type, headers, status, source, reason
        ("remote write 2.0", "/api/v1/write", b"x", PB + ";proto=io.prometheus.write.v2.Request",
         write, 415, "remote_write", "content_type"),
        ("not snappy", "/api/v1/write", b"\xff" * 20, PB, write, 400, "remote_write", "encoding"),
        ("a snappy bomb", "/api/v1/write", snappy_literal(b"\0" * (21 << 20)), PB, write, 413,
         "remote_write", "too_large"),
        ("a gzip bomb", "/v1/metrics", gzip.compress(b"\0" * (64 << 20)), PB,
         {"Content_Encoding": "gzip"}, 413, "otlp_metrics", "too_large"),
        ("no OTLP type", "/v1/logs", b"x", "text/plain", {}, 415, "otlp_logs", "content_type"),
        ("broken JSON", "/v1/traces", b"{", "application/json", {}, 400, "otlp_traces", "malformed"),
        ("broken alerts", "/api/v2/alerts", b"[{", "application/json", {}, 400, "alerts",
         "malformed"),
        ("alerts as a form", "/api/v2/alerts", ALERT, "application/x-www-form-urlencoded", {}, 415,
         "alerts", "content_type"),
    ]
    for what, path, body, content_type, headers, status, source, reason in rows:
        before = quell.dropped(source, reason=reason)
        got, _, text = quell.post(path, body, content_type, **headers)
        check(got == status, f"{what}: {got} instead of {status}: {text[:200]!r}")
        check(quell.dropped(source, reason=reason) > before, f"{what} is not counted as {reason}")
    check(quell.post("/api/v1/alerts", ALERT)[0] == 410, "the first alert API is not gone")
    check(quell.post("/nowhere", b"")[0] == 404, "unknown paths")
    half_requests(quell)
    # What is right still goes through.
    check(quell.post("/api/v2/alerts", ALERT)[0] == 200, "a good alert after the bad ones")
    wait_until("it is there", lambda: quell.get("/api/v1/alerts")["alerts"])
    return f"{len(rows)} kinds"


def half_requests(quell):
    for text in (b"", b"POST /api/v1/write HTTP/1.1\r\nContent-Le",
                 b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc",
                 b"\x16\x03\x01\x02\x00", b"GET"):
        with socket.create_connection(("127.0.0.1", quell.port)) as s:
            s.sendall(text)


CASES = [bad_input]
