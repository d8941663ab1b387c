"""Bodies as senders make them, by hand: remote write and OTLP, packed in the ways that doors take.

Times are Unix seconds unless a name says otherwise.
"""
import json
import struct

JSON, PB = "application/json", "application/x-protobuf"


# ---- packing -------------------------------------------------------------------------------

def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def snappy_literal(raw):
    """A snappy block of literals only: valid, if not small."""
    out = bytearray(varint(len(raw)))
    for at in range(0, len(raw), 65536):
        part = raw[at:at + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    return bytes(out)


def snappy_zeros(size):
    """A snappy block of zero bytes: one, then copies of it, 64 at a time."""
    whole, rest = divmod(size - 1, 64)
    copy = b"".join(bytes([length - 1 << 2 | 2]) + b"\1\0" for length in [64] * whole + [rest] * (rest > 0))
    return varint(size) + b"\0\0" + copy


def zstd_zeros(size):
    """A zstd frame of runs of zero bytes, which does not say how much comes out of it."""
    out, block = bytearray(b"\x28\xb5\x2f\xfd\x00\x38"), 128 << 10
    while size > 0:
        run = min(size, block)
        size -= run
        out += struct.pack("<I", int(size == 0) | 1 << 1 | run << 3)[:3] + b"\0"
    return bytes(out)


# ---- protobuf ------------------------------------------------------------------------------

def field(number, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def whole(number, n):
    return varint(number << 3) + varint(n)


def fixed(number, n):
    return varint(number << 3 | 1) + (struct.pack("<d", n) if isinstance(n, float) else struct.pack("<Q", n))


def write_request(series):
    """series: [(labels, [(ms, value)])], labels a dict or pairs; a WriteRequest of remote write 1.0."""
    body = b""
    for labels, samples in series:
        pairs = sorted(labels.items()) if isinstance(labels, dict) else labels
        one = b"".join(field(1, field(1, k) + field(2, v)) for k, v in pairs)
        for ms, value in samples:
            one += field(2, fixed(1, float(value)) + whole(2, ms))
        body += field(1, one)
    return body


# ---- OTLP ----------------------------------------------------------------------------------

def nanos(at):
    return round(at * 1000) * 1000000


def resource_pb(service):
    return field(1, field(1, field(1, "service.name") + field(2, field(1, service))))


def metrics_pb(name, at, value):
    point = fixed(3, nanos(at)) + fixed(4, float(value))
    return field(1, field(2, field(2, field(1, name) + field(5, field(1, point)))))


def logs_pb(service, at):
    return field(1, resource_pb(service) + field(2, field(2, fixed(1, nanos(at)) + whole(2, 9))))


def traces_pb(service, at):
    span = (field(1, b"\1" * 16) + field(2, b"\2" * 8) + field(5, "GET") + whole(6, 2) + fixed(7, nanos(at)) +
            fixed(8, nanos(at) + 1000000))
    return field(1, resource_pb(service) + field(2, field(2, span)))


def attributes(pairs):
    return [{"key": key, "value": {"stringValue": value}} for key, value in pairs]


def metrics_json(name, points, pairs=(), kind="gauge"):
    """points: [(unix seconds, value or None)]"""
    rows = [{"timeUnixNano": str(nanos(at)), "attributes": attributes(pairs),
             **({} if value is None else {"asDouble": value})} for at, value in points]
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{
        "name": name, kind: {"dataPoints": rows}}]}]}]}).encode()


def logs_json(service, at, **more):
    record = {"timeUnixNano": str(nanos(at)), "severityNumber": 9, **more}
    return json.dumps({"resourceLogs": [{"resource": {"attributes": attributes([("service.name", service)])},
                                         "scopeLogs": [{"logRecords": [record]}]}]}).encode()


def traces_json(service, at, **more):
    span = {"traceId": "01" * 16, "spanId": "02" * 8, "name": "GET", "kind": 2, "startTimeUnixNano": str(nanos(at)),
            "endTimeUnixNano": str(nanos(at) + 1000000), **more}
    return json.dumps({"resourceSpans": [{"resource": {"attributes": attributes([("service.name", service)])},
                                          "scopeSpans": [{"spans": [span]}]}]}).encode()
