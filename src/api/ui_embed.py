#!/usr/bin/env python3
"""Turns the built page (ui/dist) into what the binary carries: one assembly file with the
gzipped bytes (.incbin) and one table of rows for ui_files.c. Without a built page both are
empty and nothing is found.

    ui_embed.py DIST OUT_DIR

Outputs are rewritten only when they change, so running it on every build costs nothing."""
import gzip
import hashlib
import os
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".woff2": "font/woff2",
}


def write_changed(path, content):
    try:
        with open(path, "rb") as file:
            if file.read() == content:
                return
    except FileNotFoundError:
        pass
    with open(path, "wb") as file:
        file.write(content)


def page_files(dist):
    for folder, folders, names in os.walk(dist):
        folders.sort()
        for name in sorted(names):
            if not name.startswith("."):
                path = os.path.join(folder, name)
                yield "/" + os.path.relpath(path, dist).replace(os.sep, "/"), path


def main(dist, out_dir):
    packed_dir = os.path.join(out_dir, "ui_files.p")
    os.makedirs(packed_dir, exist_ok=True)
    assembly = [".section .rodata"]
    rows, kept = [], set()
    for index, (address, path) in enumerate(sorted(page_files(dist))):
        suffix = os.path.splitext(path)[1]
        if suffix not in TYPES:
            sys.exit(f"ui_embed.py: {path}: the type of '{suffix}' is not known; add it to TYPES")
        with open(path, "rb") as file:
            plain = file.read()
        digest = hashlib.sha256(plain).hexdigest()[:16]
        packed = os.path.abspath(os.path.join(packed_dir, digest + ".gz"))
        squeezed = gzip.compress(plain, 9, mtime=0)
        write_changed(packed, squeezed)
        kept.add(os.path.basename(packed))
        assembly += [f".global ql_ui_file_{index}", ".balign 16", f"ql_ui_file_{index}:",
                     f'.incbin "{packed}"']
        immutable = "true" if address.startswith("/assets/") else "false"
        rows.append(f'QL_UI_FILE({index}, "{address}", "{TYPES[suffix]}", "\\"{digest}\\"", '
                    f"{len(squeezed)}, {len(plain)}, {immutable})")
    for name in set(os.listdir(packed_dir)) - kept:
        os.unlink(os.path.join(packed_dir, name))
    assembly.append('.section .note.GNU-stack,"",%progbits')
    write_changed(os.path.join(out_dir, "ui_files.S"), ("\n".join(assembly) + "\n").encode())
    write_changed(os.path.join(out_dir, "ui_files.def"), ("\n".join(rows) + "\n").encode())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
