#!/usr/bin/env python3
"""Holds the house's walls: include directions, headers that stand alone, pure stages.

usage: layers.py ROOT            check the source tree
       layers.py --self-test     show that each check can fail
"""
import os
import re
import subprocess
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s+"([a-z_]+)/([a-z0-9_]+\.(?:h|def))"', re.M)
IMPURE_HEADERS = re.compile(
    r'^\s*#\s*include\s+(?:<(time\.h|sys/time\.h|stdio\.h|unistd\.h|fcntl\.h|pthread\.h|sys/socket\.h|uv\.h|sqlite3\.h|'
    r'curl/[a-z]+\.h|microhttpd\.h)>|"base/(clock|file|ring|log|wait)\.h")', re.M)
IMPURE_CALLS = re.compile(r'\b(time|clock_gettime|gettimeofday|rand|srand|random|getenv|fopen|open|socket|usleep|nanosleep)\s*\(')
BANNED = {
    'strcpy': 'ql_buf_text', 'strcat': 'ql_buf_text', 'sprintf': 'snprintf', 'gets': 'fgets',
    'strtok': 'a cursor', 'atoi': 'ql_str_to_i64', 'atof': 'ql_str_to_double', 'rand': 'base/rng.h',
    'system': 'posix_spawn or uv_spawn', 'alloca': 'base/arena.h',
}
# stdio in a stage is allowed for snprintf only.
STDIO_USE = re.compile(r'\b(?!snprintf|vsnprintf)(f?printf|fputs|puts|fwrite|fread|fopen|perror)\s*\(')


def rules(path):
    """{folder: (allowed folders, is a stage)} of layers.txt."""
    table = {}
    with open(path, encoding='utf-8') as stream:
        for line in stream:
            line = line.split('#')[0].strip()
            if line:
                name, allowed = line.split(':')
                table[name.strip('*')] = (set(allowed.split()), name.startswith('*'))
    return table


def code_of(text):
    """The text without comments and string literals, line numbers kept."""
    def blank(match):
        return re.sub(r'[^\n]', ' ', match.group(0))
    text = re.sub(r'/\*.*?\*/', blank, text, flags=re.S)
    text = re.sub(r'//[^\n]*', blank, text)
    return re.sub(r'"(?:\\.|[^"\\\n])*"', lambda m: '"' + ' ' * (len(m.group(0)) - 2) + '"', text)


def line_of(text, at):
    return text.count('\n', 0, at) + 1


def check_file(path, folder, table, problems):
    with open(path, encoding='utf-8') as stream:
        text = stream.read()
    allowed, stage = table[folder]
    test = re.search(r'_(test|fuzz|bench)\.[ch]$', path) is not None
    for match in INCLUDE.finditer(text):
        if match.group(1) != folder and match.group(1) not in allowed and not test:
            problems.append(f'{path}:{line_of(text, match.start())}: {folder}/ may not include '
                            f'{match.group(1)}/ (allowed: {" ".join(sorted(allowed)) or "nothing"})')
        if match.group(2) in table and match.group(1) not in table:
            problems.append(f'{path}: unknown folder {match.group(1)}')
    code = code_of(text)
    for word, instead in BANNED.items():
        for match in re.finditer(rf'(?<![\w.>]){word}\s*\(', code):
            problems.append(f'{path}:{line_of(code, match.start())}: {word}() is banned: use {instead}')
    if stage and not test:
        for match in IMPURE_HEADERS.finditer(text):
            if match.group(1) == 'stdio.h' and not STDIO_USE.search(code):
                continue
            problems.append(f'{path}:{line_of(text, match.start())}: a stage is pure: {match.group(0).strip()}')
        for match in IMPURE_CALLS.finditer(code):
            problems.append(f'{path}:{line_of(code, match.start())}: a stage is pure: {match.group(0)})')
    for number, line in enumerate(text.split('\n'), 1):
        if len(line) > 120:
            problems.append(f'{path}:{number}: {len(line)} columns; wrap at 100')


def check_tree(root, table):
    problems = []
    for folder in sorted(os.listdir(os.path.join(root, 'src'))):
        place = os.path.join(root, 'src', folder)
        if not os.path.isdir(place):
            continue
        if folder not in table:
            problems.append(f'{place}: not in layers.txt')
            continue
        for name in sorted(os.listdir(place)):
            if name.endswith(('.c', '.h', '.def', '.cc')):
                check_file(os.path.join(place, name), folder, table, problems)
    return problems


def check_headers(root):
    """Every header compiles alone, twice in a row."""
    problems = []
    for folder, _, names in sorted(os.walk(os.path.join(root, 'src'))):
        for name in sorted(names):
            if not name.endswith('.h'):
                continue
            path = os.path.join(folder, name)
            text = f'#include "{path}"\n#include "{path}"\n'
            run = subprocess.run(
                ['cc', '-std=c17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Wno-missing-field-initializers', '-Werror', '-fsyntax-only',
                 '-I', os.path.join(root, 'src'), '-x', 'c', '-'],
                input=text, text=True, capture_output=True, check=False)
            if run.returncode != 0:
                problems.append(f'{path}: does not compile alone:\n{run.stderr.strip()}')
    return problems


def self_test():
    """Each check finds the fault it is for."""
    table = {'base': (set(), False), 'detect': ({'base'}, True), 'act': ({'base'}, True)}
    faults = {
        '#include "act/act.h"\n': 'may not include act/',
        '#include "base/clock.h"\n': 'a stage is pure',
        '#include "base/wait.h"\n': 'a stage is pure',
        '#include <pthread.h>\n': 'a stage is pure',
        'int f(void) { return rand(); }\n': 'rand() is banned',
        'long f(void) { return time(0); }\n': 'a stage is pure',
        'int x; /* ' + 'x' * 130 + ' */\n': 'columns',
    }
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, 'src', 'detect'))
        for text, want in faults.items():
            path = os.path.join(root, 'src', 'detect', 'x.c')
            with open(path, 'w', encoding='utf-8') as stream:
                stream.write(text)
            found = check_tree(root, table)
            if not any(want in line for line in found):
                print(f'self-test: {text!r} should give {want!r}, gave {found}')
                return 1
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write('#include "base/base.h"\nint x; /* act.h, time( and rand( in a comment */\n')
        found = check_tree(root, table)
        if found:
            print(f'self-test: clean code gave {found}')
            return 1
    return 0


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    root = sys.argv[1] if len(sys.argv) > 1 else '.'
    table = rules(os.path.join(root, 'tests', 'layers', 'layers.txt'))
    problems = check_tree(root, table) + check_headers(root)
    for line in problems:
        print(line)
    print(f'{len(problems)} problems')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
