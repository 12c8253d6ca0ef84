#!/usr/bin/env python3
"""House rules that a compiler does not know: sizes, include direction, banned functions and words,
and that docs/TOUR.md names only files and functions that exist. Prints file:line: rule; exit 1 if any.

    tools/lint.py            everything
    tools/lint.py --tour     docs/TOUR.md alone (also run by the tests)
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_MAX = 700      # lines in a C file
FUNCTION_MAX = 100  # lines in a function, none over
FUNCTION_MOST = 45  # nine in ten functions are no longer

# A folder may include from folders of lower rank, and from its own.
RANK = {"base": 0, "audit": 1, "store": 1, "connector": 2, "policy": 3, "keeper": 4, "life": 5,
        "api": 6, "proxy": 7, "http": 8, "cli": 9}
# http/route.def is the one list of addresses; api/app.h declares the handlers from it.
INCLUDE_EXCEPTIONS = {("api", "http/route.def")}
FOREIGN = {  # outside headers and the only folders that may name them
    "microhttpd.h": {"src/http/server.c", "src/http/listen.c", "src/http/metrics.c", "src/http/call.c"},
    "sqlite3.h": {"store"}, "curl/curl.h": {"keeper"}, "libfyaml.h": {"base"},
}
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|strncpy|strncat|strtok|alloca|system|popen|tmpnam|mktemp)\s*\(")
WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK|stub|not implemented)\b")

problems = []


def complain(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *patterns], cwd=ROOT, capture_output=True, text=True)
    return [Path(p) for p in out.stdout.split() if (ROOT / p).is_file()]


def functions(lines):
    """(name, first line, length) of each function, by the layout that clang-format gives."""
    name, start = None, 0
    for i, line in enumerate(lines):
        if name is None and line.startswith("{"):
            head = i
            while head > 0 and not re.match(r"^[A-Za-z_]", lines[head]):
                head -= 1
            text = " ".join(lines[head:i])
            found = re.search(r"([A-Za-z_][A-Za-z0-9_]*)\s*\(", text)
            if found and not text.startswith(("struct", "enum", "union")) or (found and ")" in text):
                name, start = found.group(1), i
        elif name is not None and line.startswith("}"):
            yield name, start + 1, i - start + 1
            name = None


def check_sizes(path, lines, lengths):
    if len(lines) > FILE_MAX:
        complain(path, len(lines), f"{len(lines)} lines, at most {FILE_MAX}")
    for name, line, length in functions(lines):
        lengths.append(length)
        if length > FUNCTION_MAX:
            complain(path, line, f"{name} has {length} lines, at most {FUNCTION_MAX}")


def check_includes(path, lines):
    if path.parts[0] != "src" or len(path.parts) < 3:
        return
    folder = path.parts[1]
    for n, line in enumerate(lines, 1):
        found = re.match(r'#include [<"]([^">]+)[">]', line)
        if not found:
            continue
        target = found.group(1)
        first = target.split("/")[0]
        if first in RANK and RANK[first] > RANK[folder] and (folder, target) not in INCLUDE_EXCEPTIONS:
            complain(path, n, f"{folder}/ may not include {target}")
        if target in FOREIGN and str(path) not in FOREIGN[target] and folder not in FOREIGN[target]:
            complain(path, n, f"{target} has no place here")


def check_words(path, lines):
    for n, line in enumerate(lines, 1):
        if path.suffix in (".c", ".h") and BANNED.search(line):
            complain(path, n, f"banned function: {BANNED.search(line).group(1)}")
        if WORDS.search(line) and path.name != "lint.py":
            complain(path, n, f"left-over: {WORDS.search(line).group(1)}")


def check_first_comment(path, lines):
    if path.parts[0] in ("src", "sandbox") and not (lines and lines[0].startswith("/*")):
        complain(path, 1, "a file's first comment says what it is for and what it refuses")


def check_tour():
    tour = ROOT / "docs/TOUR.md"
    if not tour.exists():
        complain("docs/TOUR.md", 1, "is missing")
        return
    sources = {str(p): (ROOT / p).read_text(errors="replace") for p in tracked("src", "web", "sandbox", "demo", "connectors", "conf")}
    everything = "\n".join(sources.values())
    for n, line in enumerate(tour.read_text().splitlines(), 1):
        for name in re.findall(r"`([^`]+)`", line):
            if re.fullmatch(r"[\w./-]+/[\w.-]+\.\w+", name) and not (ROOT / name).exists() and not (ROOT / "src" / name).exists():
                complain("docs/TOUR.md", n, f"no file {name}")
            call = re.fullmatch(r"(\w+)\(\)", name)
            if call and not re.search(rf"\b{call.group(1)}\s*\(", everything):
                complain("docs/TOUR.md", n, f"no function {name}")


def main():
    if "--tour" not in sys.argv:
        lengths = []
        for path in tracked("src", "sandbox", "tools", "tests", "bench", "web", "demo"):
            if path.suffix not in (".c", ".h", ".def", ".mjs", ".js", ".sh", ".py"):
                continue
            lines = (ROOT / path).read_text(errors="replace").splitlines()
            check_words(path, lines)
            if path.suffix in (".c", ".h", ".def"):
                if path.suffix == ".c" and path.parts[0] in ("src", "sandbox"):
                    check_sizes(path, lines, lengths)
                check_includes(path, lines)
                check_first_comment(path, lines)
        lengths.sort()
        ninth = lengths[len(lengths) * 9 // 10] if lengths else 0
        if ninth > FUNCTION_MOST:
            complain("src", 0, f"one function in ten is longer than {FUNCTION_MOST} lines (the ninth decile has {ninth})")
        print(f"lint: {len(lengths)} functions, median {lengths[len(lengths) // 2]} lines, ninth decile {ninth}, longest {lengths[-1]}")
    check_tour()
    for p in problems:
        print(p)
    print(f"lint: {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
