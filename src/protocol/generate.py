#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the protocol's generated files. Python's standard library only.

    generate.py --out DIR        headers, layout tables and the registry (unchanged files keep their time)
    generate.py --docs           prints docs/PROTOCOL.md
    generate.py --seeds DIR      writes fuzz seeds made of tests/golden/*.hex
    generate.py --check          reads the schemas and does nothing else
"""

import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "generator"))
sys.dont_write_bytecode = True

import cpp  # noqa: E402
import docs  # noqa: E402
import language  # noqa: E402
import seeds  # noqa: E402


def write_if_changed(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schema", type=pathlib.Path, default=HERE / "schema")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--out", type=pathlib.Path)
    action.add_argument("--docs", action="store_true")
    action.add_argument("--seeds", type=pathlib.Path)
    action.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    try:
        schema = language.load(arguments.schema)
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            for name, text in cpp.files(schema).items():
                write_if_changed(arguments.out / name, text)
        elif arguments.docs:
            sys.stdout.write(docs.page(schema))
        elif arguments.seeds:
            seeds.write(schema, HERE.parent.parent / "tests" / "golden", arguments.seeds)
    except language.SchemaError as error:
        sys.exit(f"schema error: {error}")


if __name__ == "__main__":
    main()
