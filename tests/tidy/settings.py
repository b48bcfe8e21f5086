# SPDX-License-Identifier: Apache-2.0
"""A setting is said to have an effect exactly if some code reads it: the tables in src/base/settings_*.cc
against the names in the rest of src/. A broker setting is read, too, where a topic setting is that takes
its default from it."""

import re

from source import rule

_NAME = r'"([a-z][a-z0-9]*(?:\.[a-z0-9]+)*)"'
_ROW = re.compile(r"\{\s*" + _NAME + r",\s*(?:boolean|string|int16|int32|int64|float64|list|class_name|password)\b")
_SYNONYMS = re.compile(r"\{\s*" + _NAME + r",\s*\{((?:\s*\"[a-z0-9.]+\",?)+)\}\s*\}")
# A typed read, a constant that one is made with, or a pair of one list or the other.
_READ = re.compile(r"(?:\b(?:number|text|flag|find|list|is_set|level|topic_number|topic_text|topic_flag)\(\s*"
                   r"(?:[\w.]+,\s*[\w.]+,\s*)?|[=?:]\s*)" + _NAME)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def _fields(text, begin):
    """The top-level fields of the braces that open at `begin`, strings in them emptied but for quotes."""
    fields, depth, at, current = [], 0, begin, ""
    while True:
        string = _STRING.match(text, at)
        if string:
            current, at = current + ('""' if len(string.group(0)) > 2 else "e"), string.end()
            continue
        char = text[at]
        at += 1
        if char == "{":
            depth += 1
            if depth == 1:
                continue
        if char == "}":
            depth -= 1
            if depth == 0:
                return fields + [current.strip()]
        if char == "," and depth == 1:
            fields.append(current.strip())
            current = ""
            continue
        current += char


def _rows(source):
    for match in _ROW.finditer(source.text):
        fields = _fields(source.text, match.start())
        prose = len(fields) > 5 and '"' in fields[5]
        moot = len(fields) > 6 and '"' in fields[6]
        line = source.text.count("\n", 0, match.start()) + 1
        yield match.group(1), prose, moot, line


@rule("settings")
def settings_have_the_effect_they_claim(tree):
    tables = [s for s in tree.cpp("src") if re.fullmatch(r"src/base/settings_\w+\.cc", s.path)]
    reads, behind = set(), {}
    for source in tree.cpp("src"):
        if not source.path.startswith("src/base/settings"):
            reads |= set(_READ.findall(source.text))
    for source in tables:
        for topic_setting, names in _SYNONYMS.findall(source.text):
            for name in re.findall(_NAME, names):
                behind.setdefault(name, set()).add(topic_setting)
    for source in tables:
        for name, prose, moot, line in _rows(source):
            read = name in reads or not reads.isdisjoint(behind.get(name, ()))
            if read and not prose:
                yield source.path, line, f"{name} is read: say in a sentence what it does"
            elif prose and not read:
                yield source.path, line, f"{name} is said to have an effect, and nothing reads it"
            elif prose and moot:
                yield source.path, line, f"{name} cannot both do something and be needed for nothing"
