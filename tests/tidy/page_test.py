#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: page_test.py PAGE COMMAND...

Fails when PAGE is not what COMMAND prints, and says how to renew it.
"""

import pathlib
import subprocess
import sys


def main():
    page, command = pathlib.Path(sys.argv[1]), sys.argv[2:]
    printed = subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout
    if page.exists() and page.read_bytes() == printed:
        return 0
    print(f"{page} is outdated; renew it with: {' '.join(command)} > {page}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
