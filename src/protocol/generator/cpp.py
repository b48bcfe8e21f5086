# SPDX-License-Identifier: Apache-2.0
"""Emits C++: one header of plain structs per schema file, layout tables in UNITS units, the registry."""

from language import SchemaError, snake

UNITS = 15
BANNER = "// Written by src/protocol/generate.py from src/protocol/schema: do not edit.\n"
TYPES = {"bool": ("bool", "boolean"), "int8": ("int8_t", "int8"), "int16": ("int16_t", "int16"),
         "uint16": ("uint16_t", "uint16"), "int32": ("int32_t", "int32"), "uint32": ("uint32_t", "uint32"),
         "int64": ("int64_t", "int64"), "float64": ("double", "float64"), "uuid": ("Uuid", "uuid"),
         "string": ("std::string", "string"), "bytes": ("Buffer", "bytes"), "records": ("Buffer", "bytes")}
MAY_BE_NULL = ("string", "bytes", "records")


def inner_namespace(message):
    return snake(message.name)


def gathers(message, field):
    """Records in a response leave as a Chain."""
    return field.type == "records" and message.kind == "response"


def element_type(message, field):
    if field.is_struct:
        return f"{inner_namespace(message)}::{field.type}"
    return "Chain" if gathers(message, field) else TYPES[field.type][0]


def member_type(message, field):
    kind = element_type(message, field)
    if field.array:
        if field.type in ("bool", "records"):
            raise SchemaError(f"{message.name}.{field.name}: no arrays of {field.type}")
        kind = f"std::vector<{kind}>"
    elif field.nullable and not field.is_struct and field.type not in MAY_BE_NULL:
        raise SchemaError(f"{message.name}.{field.name}: {field.type} cannot be null")
    return f"std::optional<{kind}>" if field.nullable else kind


def number(field):
    if field.type == "bool":
        return 1 if field.default == "true" else 0
    return int(field.default or 0)


def literal(value):
    return "INT64_MIN" if value == -2**63 else str(value)


def initializer(message, field):
    if field.nullable and field.default == "empty":
        return f" = {member_type(message, field)[len('std::optional<'):-1]}{{}}"
    if field.array or field.is_struct or field.nullable:
        return ""
    if field.type == "string":
        return f" = {field.default}" if field.default else ""
    if field.type == "bool":
        return " = true" if field.default == "true" else " = false"
    if field.type in ("uuid", "bytes", "records"):
        return ""
    return f" = {literal(number(field))}"


def versions_note(field, message):
    low, high = field.versions
    notes = []
    if field.tag is not None:
        notes.append(f"tag {field.tag}")
    if (low, high) != message.versions:
        notes.append(f"v{low}+" if high == message.versions[1] else f"v{low}" if low == high else f"v{low}-{high}")
    if field.prose:
        notes.append(field.prose)
    return "; ".join(notes)


def emit_struct_members(message, fields, out):
    for field in fields:
        note = versions_note(field, message)
        line = f"    {member_type(message, field)} {field.name}{initializer(message, field)};"
        if note:
            line += f"  // {note}"
        out.append(line)


def emit_message(message, out):
    if message.structs:
        out.append(f"namespace {inner_namespace(message)} {{")
        for name, fields in message.structs.items():
            out.append(f"struct {name} {{")
            emit_struct_members(message, fields, out)
            out.append(f"    bool operator==(const {name}&) const = default;\n}};")
        out.append(f"}}  // namespace {inner_namespace(message)}\n")
    for line in message.prose or (message.api.prose if message.api and message.kind == "request" else []):
        out.append(f"/// {line}")
    out.append(f"struct {message.name} {{")
    for name in message.structs:
        out.append(f"    using {name} = {inner_namespace(message)}::{name};")
    emit_constants(message, out)
    out.append("    static const Layout& layout();\n")
    emit_struct_members(message, message.fields, out)
    out.append(f"    bool operator==(const {message.name}&) const = default;\n}};\n")


def emit_constants(message, out):
    low, high = message.versions
    if message.api:
        other = "Response" if message.kind == "request" else "Request"
        out.append(f"    using {other} = {message.api.name}{other};")
        out.append(f"    static constexpr ApiKey kApiKey = ApiKey::{snake(message.api.name)};")
        if message.api.unstable <= high:
            out.append(f"    static constexpr int16_t kMaxCodecVersion = {high};  // not advertised")
            high = message.api.unstable - 1
    elif message.key is not None:
        out.append(f"    static constexpr int16_t kRecordType = {message.key};")
    out.append(f'    static constexpr std::string_view kName = "{message.name}";')
    out.append(f"    static constexpr int16_t kMinVersion = {low};")
    out.append(f"    static constexpr int16_t kMaxVersion = {high};")
    out.append(f"    static constexpr int16_t kFirstFlexible = {message.flexible};")


def header(stem, messages, prose):
    out = [BANNER]
    out += [f"// {line}" for line in prose]
    out += ["#pragma once\n", "#include <cstdint>", "#include <optional>", "#include <string>",
            "#include <string_view>", "#include <vector>\n", '#include "ottla/buffer.h"', '#include "ottla/types.h"']
    if any(message.api for message in messages):
        out.append('#include "protocol/api_key.h"')
    out += ["\nnamespace ottla::protocol {\n", "struct Layout;"]
    out += [f"struct {message.name};" for message in messages if message.api]
    out.append("")
    for message in messages:
        emit_message(message, out)
    if stem == "metadata_records":
        names = ",\n    ".join(message.name for message in messages)
        out.append("/// Any of the above, in the order of their types.")
        out.append(f"using MetadataRecord = std::variant<\n    {names}>;\n")
        out.insert(out.index("#include <string_view>") + 1, "#include <variant>")
    out.append("}  // namespace ottla::protocol")
    return "\n".join(out) + "\n"


def bounds(versions):
    return f"{{{versions[0]}, {versions[1]}}}" if versions else "kNoVersions"


def field_row(message, owner, field):
    shape = ("optional_array" if field.nullable else "array") if field.array else \
        "optional" if field.nullable else "single"
    kind = "structure" if field.is_struct else "gathered" if gathers(message, field) else TYPES[field.type][1]
    structure = f"&k{message.name}{field.type}" if field.is_struct else "nullptr"
    ops = "nullptr"
    if field.is_struct and shape != "single":
        table = {"array": "kArray", "optional": "kOptional", "optional_array": "kOptionalArray"}[shape]
        ops = f"&{table}<{element_type(message, field)}>"
    scalar = not (field.array or field.is_struct or field.nullable)
    value = number(field) if scalar and field.type in TYPES and field.type not in (
        "string", "uuid", "bytes", "records", "float64") else 0
    text = field.default if scalar and field.type == "string" and field.default else '""'
    null_default = "true" if field.nullable and field.default == "null" else "false"
    return (f"    {{offsetof({owner}, {field.name}), Kind::{kind}, Shape::{shape}, "
            f'{"true" if field.classic else "false"}, {null_default}, {bounds(field.versions)}, '
            f"{bounds(field.nullable)}, {-1 if field.tag is None else field.tag}, {structure}, {ops}, "
            f'{literal(value)}, {text}, "{field.json}"}},')


def emit_layout(message, name, owner, fields, label, out):
    plain = [field for field in fields if field.tag is None]
    tagged = sorted((field for field in fields if field.tag is not None), key=lambda field: field.tag)
    spans = []
    for part, rows in (("Fields", plain), ("Tagged", tagged)):
        if rows:
            out.append(f"constexpr FieldLayout {name}{part}[] = {{")
            out += [field_row(message, owner, field) for field in rows]
            out.append("};")
        spans.append(f"{name}{part}" if rows else "{}")
    out.append(f'constexpr Layout {name}{{"{label}", sizeof({owner}), {bounds(message.versions)}, '
               f"{message.flexible}, {spans[0]}, {spans[1]}}};")


def tables(messages, stems):
    out = [BANNER, "#include <cstddef>\n", '#include "protocol/layout.h"']
    out += [f'#include "protocol/{stem}.h"' for stem in stems]
    out.append("\n// Every standard library in use gives these structures a fixed layout.")
    out.append('#pragma GCC diagnostic ignored "-Winvalid-offsetof"\n')
    out.append("namespace ottla::protocol {\nnamespace {\n")
    for message in messages:
        for name, fields in message.structs.items():
            emit_layout(message, f"k{message.name}{name}", f"{inner_namespace(message)}::{name}", fields,
                        f"{message.name}.{name}", out)
        emit_layout(message, f"k{message.name}", message.name, message.fields, message.name, out)
        out.append("")
    out.append("}  // namespace\n")
    out += [f"const Layout& {message.name}::layout() {{ return k{message.name}; }}" for message in messages]
    out.append("\n}  // namespace ottla::protocol")
    return "\n".join(out) + "\n"


def api_key(schema):
    rows = sorted([(api.key, api.name, "") for api in schema.apis] +
                  [(key, name, "  // no version left") for key, name in schema.retired])
    out = [BANNER, "// The number that names an API on the wire.\n#pragma once\n", "#include <cstdint>\n",
           "namespace ottla::protocol {\n", "enum class ApiKey : int16_t {"]
    out += [f"    {snake(name)} = {key},{note}" for key, name, note in rows]
    out.append("};\n\n}  // namespace ottla::protocol")
    return "\n".join(out) + "\n"


def registry(schema, stems):
    out = [BANNER, '#include "protocol/api_table.h"', '#include "protocol/message.h"']
    out += [f'#include "protocol/{stem}.h"' for stem in stems]
    out.append("\nnamespace ottla::protocol {\nnamespace {\n")
    out.append("constexpr ApiRow kApis[] = {")
    for api in schema.apis:
        stable = min(api.versions[1], api.unstable - 1)
        out.append(f'    {{ApiKey::{snake(api.name)}, "{api.name}", {api.versions[0]}, {stable}, {api.flexible}, '
                   f'{"true" if "broker" in api.listeners else "false"}, '
                   f'{"true" if "controller" in api.listeners else "false"}}},')
    out.append("};\n\nconstexpr MessageRow kMessages[] = {")
    for message in schema.messages:
        key = -1 if message.key is None else message.key
        out.append(f'    message_row<{message.name}>("{message.name}", MessageKind::{message.kind}, {key}, '
                   f"{message.versions[0]}, {message.versions[1]}),")
    out.append("};\n\n}  // namespace\n")
    out.append("std::span<const ApiRow> all_apis() { return kApis; }")
    out.append("std::span<const MessageRow> all_messages() { return kMessages; }")
    out.append("\n}  // namespace ottla::protocol")
    return "\n".join(out) + "\n"


def files(schema):
    """Name -> text of everything to write."""
    by_stem = {}
    for message in schema.messages:
        by_stem.setdefault(message.file, []).append(message)
    stems = sorted(by_stem)
    texts = {"api_key.h": api_key(schema), "registry.cc": registry(schema, stems)}
    for stem in stems:
        texts[f"{stem}.h"] = header(stem, by_stem[stem], schema.file_prose.get(stem, []))
    weight = {stem: sum(len(m.fields) + sum(map(len, m.structs.values())) for m in messages)
              for stem, messages in by_stem.items()}
    total, done, units = sum(weight.values()), 0, [[] for _ in range(UNITS)]
    for stem in stems:
        units[min(done * UNITS // total, UNITS - 1)].append(stem)
        done += weight[stem]
    for index, unit in enumerate(units):
        texts[f"tables_{index:02}.cc"] = tables([m for stem in unit for m in by_stem[stem]], unit)
    return texts
