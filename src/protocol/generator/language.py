# SPDX-License-Identifier: Apache-2.0
"""The schema language: reads schema/*.msg into plain objects and refuses what makes no sense.

    # Prose about the thing that follows.
    api 0 Produce broker controller     an API: key, name, listeners that serve it
    versions 3-13                       every version with a codec
    unstable 13                         optional: this version and above are never advertised
    flexible 9                          first version with compact lengths and tags, or `never`
    request | response                  fields follow, two blanks deeper per level
    struct Endpoint                     a structure that several fields of the message share
    record 3 PartitionRecord            a metadata record and its type
    key 1 OffsetCommitKey               a coordinator record's key (its type) and value
    value 1 OffsetCommitValue
    message VotersRecord                anything else with versions
    retired 4 LeaderAndIsr              a key whose last version is gone

A field is `name type [= default] [v3+ | v3-5 | v3] [tag 0] [null v6+] [json fooBar] [classic]` and
perhaps `# prose`.
Types: bool int8 int16 uint16 int32 uint32 int64 float64 uuid string bytes records, a structure, `[T]`
for an array; `?` behind a type means it may be null (only where `null v6+` says so, if present).
A nullable field is null by default, unless `= empty` says otherwise. `classic` keeps the old length
encoding in every version.
"""

import dataclasses
import pathlib
import re

FOREVER = 32767
SCALARS = ("bool int8 int16 uint16 int32 uint32 int64 float64 uuid string bytes records").split()
LISTENERS = ("broker", "controller")


class SchemaError(Exception):
    pass


@dataclasses.dataclass
class Field:
    name: str
    json: str
    type: str
    array: bool
    nullable: tuple | None  # versions in which null is possible
    versions: tuple
    tag: int | None
    default: str | None
    classic: bool
    prose: str
    fields: list = dataclasses.field(default_factory=list)

    @property
    def is_struct(self):
        return self.type not in SCALARS


@dataclasses.dataclass
class Message:
    name: str
    kind: str  # request, response, record, key, value, message
    key: int | None
    api: object
    prose: list
    versions: tuple = None
    flexible: int = FOREVER
    fields: list = dataclasses.field(default_factory=list)
    structs: dict = dataclasses.field(default_factory=dict)  # name -> fields, inner ones first
    file: str = ""


@dataclasses.dataclass
class Api:
    key: int
    name: str
    listeners: list
    prose: list
    versions: tuple = None
    flexible: int = FOREVER
    unstable: int = FOREVER
    file: str = ""


@dataclasses.dataclass
class Schema:
    apis: list = dataclasses.field(default_factory=list)
    retired: list = dataclasses.field(default_factory=list)
    messages: list = dataclasses.field(default_factory=list)
    file_prose: dict = dataclasses.field(default_factory=dict)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name.replace("KRaft", "Kraft")).lower()


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def parse_range(text):
    match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text)
    if not match:
        raise SchemaError(f"not a range of versions: {text}")
    low = int(match[1])
    return (low, FOREVER if match[2] else int(match[3] or low))


FIELD = re.compile(
    r"(?P<name>[a-z][a-z0-9_]*)\s+(?P<type>\[?\w+\]?)(?P<null>\?)?(?:\s+=\s+(?P<default>\"[^\"]*\"|\S+))?"
    r"(?P<marks>(?:\s+(?:v\d+[-+\d]*|tag \d+|null v\d+[-+\d]*|json \w+|classic))*)\s*(?:#\s*(?P<prose>.*))?"
)


def parse_field(text):
    match = FIELD.fullmatch(text)
    if not match:
        raise SchemaError(f"not a field: {text}")
    name, kind = match["name"], match["type"]
    field = Field(name, camel(name), kind.strip("[]"), kind.startswith("["), None, (0, FOREVER), None,
                  match["default"], False, match["prose"] or "")
    null_versions = None
    for mark in re.findall(r"null v[-+\d]+|v[-+\d]+|tag \d+|json \w+|classic", match["marks"]):
        word, _, rest = mark.partition(" ")
        if word == "tag":
            field.tag = int(rest)
        elif word == "null":
            null_versions = parse_range(rest[1:])
        elif word == "json":
            field.json = rest
        elif word == "classic":
            field.classic = True
        else:
            field.versions = parse_range(word[1:])
    if match["null"]:
        field.nullable = null_versions or field.versions
        field.default = field.default or "null"
        if field.default not in ("null", "empty"):
            raise SchemaError(f"what may be null is null or empty by default: {text}")
    elif null_versions:
        raise SchemaError(f"`null` needs a type with `?`: {text}")
    return field


class Parser:
    def __init__(self, path, schema):
        self.path, self.schema = path, schema
        self.prose, self.api, self.message, self.stack = [], None, None, []
        self.seen_any = False

    def parse(self):
        for number, line in enumerate(self.path.read_text().splitlines(), 1):
            try:
                self.line(line.rstrip())
            except SchemaError as error:
                raise SchemaError(f"{self.path.name}:{number}: {error}") from None

    def line(self, line):
        if not line:
            if self.prose and not self.seen_any:
                self.schema.file_prose[self.path.stem] = self.prose
                self.prose = []
            return
        if line.startswith("#"):
            text = line[1:].strip()
            if not text.startswith("SPDX"):
                self.prose.append(text)
            return
        self.seen_any = True
        if line.startswith(" "):
            indent = len(line) - len(line.lstrip())
            if indent % 2 or self.message is None or indent // 2 > len(self.stack):
                raise SchemaError("a field must stand two blanks deeper than what it belongs to")
            del self.stack[indent // 2:]
            field = parse_field(line.strip())
            self.stack[-1].append(field)
            self.stack.append(field.fields)
            return
        self.statement(*line.split())

    def statement(self, word, *rest):
        if word == "api":
            self.api = Api(int(rest[0]), rest[1], list(rest[2:]), self.take_prose(), file=self.path.stem)
            if not self.api.listeners or not set(self.api.listeners) <= set(LISTENERS):
                raise SchemaError("an api names its listeners: broker, controller")
            self.message = None
            self.schema.apis.append(self.api)
        elif word in ("request", "response"):
            self.start(Message(self.api.name + word.capitalize(), word, self.api.key, self.api,
                               self.take_prose(), self.api.versions, self.api.flexible))
        elif word in ("record", "key", "value"):
            self.start(Message(rest[1], word, int(rest[0]), None, self.take_prose()))
        elif word == "message":
            self.start(Message(rest[0], word, None, None, self.take_prose()))
        elif word == "retired":
            self.schema.retired.append((int(rest[0]), rest[1]))
        elif word == "struct":
            fields = []
            self.message.structs[rest[0]] = fields
            self.stack = [fields]
        elif word in ("versions", "flexible", "unstable"):
            target = self.message or self.api
            value = parse_range(rest[0]) if word == "versions" else \
                FOREVER if rest[0] == "never" else int(rest[0].rstrip("+"))
            setattr(target, word, value)
        else:
            raise SchemaError(f"unknown statement: {word}")

    def take_prose(self):
        prose, self.prose = self.prose, []
        return prose

    def start(self, message):
        message.file = self.path.stem
        self.message = message
        self.stack = [message.fields]
        self.schema.messages.append(message)


def clip(bounds, outer):
    return (max(bounds[0], outer[0]), min(bounds[1], outer[1]))


def settle(message):
    """Clips versions, collects inline structures inner first, checks references and tags."""
    if message.versions is None:
        raise SchemaError(f"{message.name} has no versions")
    shared, message.structs = message.structs, {}

    def walk(fields, outer):
        names, tags = set(), set()
        for field in fields:
            where = f"{message.name}.{field.name}"
            field.versions = clip(field.versions, outer)
            if field.versions[0] > field.versions[1]:
                raise SchemaError(f"{where} exists in no version")
            if field.nullable:
                field.nullable = clip(field.nullable, field.versions)
            if field.name in names or (field.tag is not None and field.tag in tags):
                raise SchemaError(f"{where}: name or tag used twice")
            names.add(field.name)
            if field.tag is not None:
                tags.add(field.tag)
                if len(tags) > 64:
                    raise SchemaError(f"{where}: more tags than the codec counts")
                if field.versions[0] < message.flexible:
                    raise SchemaError(f"{where}: a tag needs a flexible version")
            if field.is_struct:
                body = field.fields or shared.get(field.type) or message.structs.get(field.type)
                if not body:
                    raise SchemaError(f"{where}: unknown type {field.type}")
                if field.type not in message.structs:
                    walk(body, message.versions)
                    message.structs[field.type] = body
                elif field.fields:
                    raise SchemaError(f"{where}: structure {field.type} is defined twice")
            elif field.fields:
                raise SchemaError(f"{where}: only a structure has fields")

    walk(message.fields, message.versions)


def load(folder):
    schema = Schema()
    for path in sorted(pathlib.Path(folder).glob("*.msg")):
        Parser(path, schema).parse()
    for message in schema.messages:
        settle(message)
    schema.apis.sort(key=lambda api: api.key)
    keys = [api.key for api in schema.apis] + [key for key, _ in schema.retired]
    if len(keys) != len(set(keys)):
        raise SchemaError("two APIs share a key")
    return schema
