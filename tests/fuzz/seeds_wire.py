#!/usr/bin/env python3
"""Writes the seeds of the wire fuzzers that are not text: tests/fuzz/<name>/*. Run it from
the root of the tree after changing it; its output is committed."""
import gzip
import os
import struct


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """An int as varint, a float as fixed64, bytes or str as length-delimited."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def fixed64(number, value):
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def save(folder, name, data):
    os.makedirs(f"tests/fuzz/{folder}", exist_ok=True)
    with open(f"tests/fuzz/{folder}/{name}", "wb") as out:
        out.write(data)


def label(name, value):
    return field(1, field(1, name) + field(2, value))


def sample(value, ms):
    return field(2, field(1, value) + field(2, ms))


T = 1767225600000
plain = b"".join(
    field(1, label("__name__", n) + label("job", "x") + label("pod", f"p-{i}") + sample(i * 1.5, T))
    for i, n in enumerate(["up", "http_requests_total", "rss_bytes"]))
odd = (field(1, label("job", "x") + label("__name__", "b") + label("job", "y") + sample(1.0, T))
       + field(1, label("__name__", "c") + sample(2.0, T) + label("z", "") + field(3, b"") + field(4, b""))
       + field(3, field(1, 1) + field(2, "c") + field(4, "help"))
       + field(1, label("__name__", "stra\u00dfe") + fixed64(15, 7)
               + field(2, fixed64(1, 0x7FF0000000000002) + field(2, T))
               + field(2, field(2, -1000))))
save("remote_write", "plain.bin", plain)
save("remote_write", "odd.bin", odd)
save("remote_write", "late_time.bin", field(1, label("__name__", "a") + sample(1.0, 9 * 10**12 + 1)))

snappy_hello = bytes([5, 4 << 2]) + b"hello"
snappy_copy = bytes([64, 0]) + b"a" + bytes([(63 - 1) << 2 | 2, 1, 0]) + bytes([0]) + b"b"
save("inflate", "none.bin", b"\0text")
save("inflate", "snappy.bin", b"\1" + snappy_hello)
save("inflate", "snappy_copy.bin", b"\1" + snappy_copy)
save("inflate", "gzip.bin", b"\2" + gzip.compress(b"hello hello hello", mtime=0))
save("inflate", "gzip_two.bin", b"\2" + gzip.compress(b"a", mtime=0) + gzip.compress(b"b" * 99, mtime=0))
# A zstd frame with one raw block, content size in the header.
save("inflate", "zstd.bin", b"\3" + bytes.fromhex("28b52ffd2005290000") + b"hello")


def lstr(text):
    return struct.pack("<I", len(text)) + text.encode()


save("command", "command.bin", b"\0" + struct.pack("<BBBQQq", 1, 4, 3, 5, 6, 7)
     + lstr("service/checkout") + lstr("ann") + lstr("note"))
save("command", "outcome.bin", b"\1" + struct.pack("<BQqIB", 1, 5, 7, 2, 1) + lstr("no route"))
save("finding", "finding.bin", struct.pack("<BBQQq7dII", 1, 0, 1, 2, 5, 60.0, 100.0, 0.9, 86400.0, 1.0, 2.0, 3.0, 20, 17)
     + struct.pack("<I", len(label("__name__", "pool_used")))
     + label("__name__", "pool_used") + lstr("pool_max"))
