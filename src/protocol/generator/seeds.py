# SPDX-License-Identifier: Apache-2.0
"""Fuzz seeds from golden lines: two bytes name the message (its place in the registry), two the version."""

import hashlib


def write(schema, golden, folder):
    folder.mkdir(parents=True, exist_ok=True)
    place = {}
    for index, message in enumerate(schema.messages):
        if message.kind in ("request", "response"):
            place[(message.kind, message.key)] = index
        place[message.name] = index
    for path in sorted(golden.glob("*.hex")):
        for line in path.read_text().splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] in ("request", "response"):
                index = place[(words[0], int(words[1]))]
            else:
                index = place[words[1]]
            body = bytes.fromhex(words[3]) if len(words) > 3 else b""
            data = index.to_bytes(2, "big") + int(words[2]).to_bytes(2, "big") + body
            (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)
