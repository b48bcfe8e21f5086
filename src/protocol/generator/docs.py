# SPDX-License-Identifier: Apache-2.0
"""docs/PROTOCOL.md: the version table, then every message with its fields."""

from language import FOREVER


def versions(bounds, outer):
    low, high = bounds
    if (low, high) == outer:
        return ""
    return f"v{low}+" if high == outer[1] else f"v{low}" if low == high else f"v{low}-{high}"


def span(bounds):
    return f"{bounds[0]}" if bounds[0] == bounds[1] else f"{bounds[0]}-{bounds[1]}"


def field_line(field, outer, depth):
    kind = f"[{field.type}]" if field.array else field.type
    if field.nullable:
        kind += "?"
        if field.nullable != field.versions:
            kind += f" (null {versions(field.nullable, (0, outer[1]))})"
    parts = [f"{'  ' * depth}{field.name} {kind}"]
    if field.default and field.default != "null":
        parts.append(f"= {field.default}")
    mark = versions(field.versions, outer)
    if mark:
        parts.append(mark)
    if field.tag is not None:
        parts.append(f"tag {field.tag}")
    if field.prose:
        parts.append(f"# {field.prose}")
    return " ".join(parts)


def field_lines(message, fields, depth, shown, out):
    for field in fields:
        out.append(field_line(field, message.versions, depth))
        if field.is_struct and field.type not in shown:
            shown.add(field.type)
            field_lines(message, message.structs[field.type], depth + 1, shown, out)


def fields_block(message, title, out):
    out.append("```")
    out.append(title)
    field_lines(message, message.fields, 1, set(), out)
    out.append("```")


def page(schema):
    out = [INTRODUCTION.strip(), "", "## APIs", "",
           "| key | API | versions | flexible from | listeners |", "|---:|---|---|---|---|"]
    for api in schema.apis:
        stable = (api.versions[0], min(api.versions[1], api.unstable - 1))
        flexible = "never" if api.flexible == FOREVER else api.flexible
        out.append(f"| {api.key} | [{api.name}](#{api.name.lower()}) | {span(stable)} | {flexible} | "
                   f"{', '.join(api.listeners)} |")
    gone = ", ".join(f"{key} {name}" for key, name in schema.retired)
    out += ["", f"Keys without any version left: {gone}.", ""]
    for api in schema.apis:
        out += [f"## {api.name}", "", *api.prose, ""]
        for message in schema.messages:
            if message.api is api:
                fields_block(message, f"{message.name} key {api.key} v{span(message.versions)}", out)
                out.append("")
    out += ["## Records and other structures", ""]
    stem = None
    for message in schema.messages:
        if message.api:
            continue
        if message.file != stem:
            stem = message.file
            out += [f"### {stem}.msg", "", *schema.file_prose.get(stem, []), ""]
        out += message.prose
        flexible = "never flexible" if message.flexible == FOREVER else f"flexible from {message.flexible}"
        key = "" if message.key is None else f" type {message.key}"
        fields_block(message, f"{message.name}{key} v{span(message.versions)}, {flexible}", out)
        out.append("")
    return "\n".join(out).rstrip() + "\n"


INTRODUCTION = """
# The protocol

Written by `src/protocol/generate.py --docs` from `src/protocol/schema/*.msg`; a test holds them equal.
The facts are those of Apache Kafka 4.4.0 (the field tables inside its released jars); words and language are ours.

How to read it: a field without a mark exists in every version of its message; `v3+` from version 3 on; `tag 0` is a
tagged field; `?` may be null; `[T]` is an array. A message from its first flexible version on has compact lengths and
ends every structure with a tag section (KIP-482). Names are Kafka's in snake_case; JSON prints them in camelCase.
The table lists what the codec speaks; what a broker advertises is in its ApiVersions answer. Produce 0-2 are
advertised and refused, because old librdkafka reads compression support out of that range (KAFKA-18659).

Limits, before anything is allocated: a string has at most 32,767 bytes, an array at most 1,000,000 elements and never
more than the bytes left can hold, a tag section at most 10,000 tags; all array elements of a message together take at
most 1 MiB and 8 bytes per byte of it in memory. Unknown tags are skipped and dropped. A tag's size must be its
value's. A null that a version cannot express is written as empty. Bytes behind the last field of a request are
ignored by the server, as Kafka does, and an error for `ottla inspect message`.

`ottla inspect message` prints a body's fields as Kafka's own JSON converters do: identifiers in URL-safe base64,
bytes in base64, tagged fields only when they are not default. (Record payloads, which Kafka leaves out, are shown.)

Proof: `tests/golden` holds what Kafka's released classes wrote for every version of every message here, filled, with
nulls and with defaults; decoding and encoding must give the same bytes. A new Kafka means: change the `.msg` files,
raise the version in `tests/golden/pom.xml`, run `tests/golden/capture.sh`, and let the tests disagree.
"""
