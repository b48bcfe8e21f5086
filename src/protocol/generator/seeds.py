# SPDX-License-Identifier: Apache-2.0
"""Seeds for tests/fuzz/protocol_message_fuzz.cc from golden lines: kind, key or place, version, body."""


def write(schema, golden, folder):
    folder.mkdir(parents=True, exist_ok=True)
    others = [message.name for message in schema.messages if not message.api]
    for path in sorted(golden.glob("*.hex")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            kind, which, version, *body = line.split()
            place = int(which) if kind in ("request", "response") else others.index(which)
            choice = {"request": 0, "response": 1}.get(kind, 2)
            data = bytes([choice, place, int(version)]) + bytes.fromhex("".join(body))
            (folder / f"{path.stem}_{number:04}").write_bytes(data)
