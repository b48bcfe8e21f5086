# SPDX-License-Identifier: Apache-2.0
"""What is written about the code agrees with the code: build lists, tests, links, generated pages."""

import os
import re
import subprocess
import sys

from layers import ALLOWED
from source import rule

# page -> the command that prints it; a row counts once both exist.
GENERATED = {
    "docs/PROTOCOL.md": ["src/protocol/generate.py", "--docs"],
}

# Units that a test can only meet from outside.
UNTESTABLE = {"src/app/main.cc"}


@rule("cmake-list")
def cmake_list(tree):
    """A .cc that no CMakeLists.txt names is dead code."""
    for source in tree.cpp("src", "tests", "bench"):
        if source.suffix == ".cc" and not _is_named(tree, source.path):
            yield source.path, 1, "no CMakeLists.txt names it"


def _is_named(tree, path):
    """By its path from the list, or by its stem when a function of the list adds the rest of the name."""
    folder = path.rpartition("/")[0]
    for where in _parents(folder):
        cmake = tree.by_path.get(where + "/CMakeLists.txt")
        if not cmake:
            continue
        names = [path[len(where) + 1:]]
        if where == folder:
            stem = names[0][:-len(".cc")]
            names += [stem, stem.removesuffix("_fuzz"), stem.removesuffix("_test")]
        if any(re.search(rf"(?<![\w/.]){re.escape(name)}(?![\w/.])", cmake.text) for name in names):
            return True
    return False


def _reachable(tree, starts, follow):
    """Paths of project headers included from starts, through headers for which follow(source) holds."""
    reached, waiting = set(), list(starts)
    while waiting:
        for _, name, is_system in waiting.pop().includes:
            target = None if is_system else tree.resolve(name)
            if target and target.path not in reached:
                reached.add(target.path)
                if follow(target):
                    waiting.append(target)
    return reached


@rule("tested")
def tested(tree):
    """Every unit of src is met by a test: one that includes its header, is called after it, or says
    `covers m/x`. An inner unit counts when a tested unit of its own module includes it."""
    tests = [s for s in tree.files if s.folder == "tests" and s.is_text]
    names = {s.path.rpartition("/")[2] for s in tests}
    text = "\n".join(s.text for s in tests if s.suffix in (".cc", ".h", ".py", ".txt"))
    met = _reachable(tree, [s for s in tests if s.is_cpp], lambda s: s.folder in ("include", "tests"))
    for source in tree.cpp("src"):
        unit = source.path[len("src/"):].rpartition(".")[0]
        if f"{unit.rpartition('/')[2]}_test.cc" in names or re.search(rf"covers [^\n]*\b{re.escape(unit)}\b", text):
            met.add(source.path)
    growing = True
    while growing:
        before = len(met)
        met |= {s.path for s in tree.cpp("src") if _is_part(tree, s, met)}
        for path in [path for path in met if path.startswith("src/")]:
            met |= {t.path for _, name, is_system in tree.by_path[path].includes if not is_system
                    and (t := tree.resolve(name)) and t.module == tree.by_path[path].module}
        growing = len(met) > before
    for source in tree.cpp("src"):
        if source.path not in met and source.path not in UNTESTABLE:
            yield source.path, 1, "no test includes its header, is called after it, or says that it covers it"


def _is_part(tree, source, met):
    """A .cc whose own header is met; one without a header of its own implements its first include."""
    if source.suffix != ".cc":
        return False
    own = source.path[:-len(".cc")] + ".h"
    if own not in tree.by_path:
        first = next((name for _, name, is_system in source.includes if not is_system), None)
        own = first and (target := tree.resolve(first)) and target.path
    return own in met


def _anchors(text):
    found = set()
    for title in re.findall(r"(?m)^#+\s+(.*)$", text):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def _without_blocks(text):
    return re.sub(r"(?ms)^```.*?^```", lambda m: re.sub(r"[^\n]", "", m.group(0)), text)


@rule("link")
def links(tree):
    folders = {os.path.dirname(path) for path in tree.by_path}
    folders |= {parent for folder in folders for parent in _parents(folder)}
    for source in tree.files:
        if source.suffix != ".md":
            continue
        text = _without_blocks(source.text)
        for number, line in enumerate(text.split("\n"), 1):
            for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                where = os.path.normpath(os.path.join(os.path.dirname(source.path), path)) if path else source.path
                if where not in tree.by_path and where not in folders:
                    yield source.path, number, f"'{target}' leads nowhere"
                elif anchor and where in tree.by_path and anchor not in _anchors(tree.by_path[where].text):
                    yield source.path, number, f"'{target}': no such heading"
            for path in re.findall(r"`((?:src|include|tests|docs|cmake|bench|config)/[\w./-]*[\w/])`", line):
                if any(part.isupper() for part in path.split("/")):
                    continue  # `tests/NAME/run`: a placeholder.
                if path.startswith("src/") and path[len("src/"):].rstrip("/") in ALLOWED:
                    continue  # A module with a row in the table, present or planned.
                if path.rstrip("/") not in tree.by_path and path.rstrip("/") not in folders:
                    yield source.path, number, f"`{path}` does not exist"


def _parents(folder):
    while folder:
        yield folder
        folder = os.path.dirname(folder)


@rule("generated")
def generated(tree):
    for page, command in GENERATED.items():
        if command[0] not in tree.by_path or page not in tree.by_path:
            continue
        program = str(tree.root / command[0])
        done = subprocess.run([sys.executable, program, *command[1:]], cwd=tree.root,
                              capture_output=True, check=False)
        if done.returncode != 0:
            yield command[0], 1, f"{' '.join(command)} failed: {done.stderr.decode(errors='replace')[-200:]}"
        elif tree.by_path[page].bytes != done.stdout:
            yield page, 1, f"outdated: {' '.join(command)} > {page}"
