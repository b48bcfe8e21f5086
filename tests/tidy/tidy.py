#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The style guide that cannot rot: reads the tree and fails on what the rules forbid.

usage: tidy.py [ROOT] [--rule NAME]... [--strict]

layers.py   who may include whom, third-party headers, `// pure`
words.py    banned words and what to write in their place
shapes.py   sizes, co_await, heads of headers, duplicates
papers.py   build lists, tests, links, generated pages
settings.py what a setting is said to do against what reads it

Every rule has a test in tidy_test.py that proves it can fail. Standard library only.
"""

import argparse
import pathlib
import sys

import layers  # noqa: F401  (registers its rules)
import papers  # noqa: F401
import settings  # noqa: F401
import shapes
import words  # noqa: F401
from source import RULES, Tree


# Printed, but not failing while the first modules land side by side.
REMARKS = {"line-length", "tested"}


def findings(root, names=None):
    tree = Tree(root)
    for name, check in RULES.items():
        if names and name not in names:
            continue
        for path, line, message in check(tree):
            yield name, path, line, message


def main():
    parser = argparse.ArgumentParser(description="checks the tree against its style rules")
    parser.add_argument("root", nargs="?", default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--rule", action="append", choices=sorted(RULES))
    parser.add_argument("--strict", action="store_true", help="remarks are findings")
    arguments = parser.parse_args()
    count = 0
    for name, path, line, message in findings(arguments.root, arguments.rule):
        remark = name in REMARKS and not arguments.strict
        print(f"{path}:{line}: {message} [{name}{', remark' if remark else ''}]")
        count += not remark
    tree = Tree(arguments.root)
    for path, lines in shapes.long_files(tree):
        print(f"{path}: {lines} lines, soon too long (remark)")
    print(f"tidy: {len(RULES)} rules, {len(tree.files)} files, {count} findings")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
