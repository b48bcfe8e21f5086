# SPDX-License-Identifier: Apache-2.0
"""Shapes: sizes of files, functions and lines; where a co_await may stand; heads of headers; duplicates."""

import collections
import re

from source import rule

MAX_LINE = 100
MAX_COMMENT = 120  # prose may hang over while it is being written; clang-format folds it
WARN_FILE = 600
MAX_FILE = 800
MAX_FUNCTION = 70
MAX_BYTES = 200 * 1024
DUPLICATE_LINES = 12

_TYPE_WORDS = {"namespace", "class", "struct", "union", "enum", "extern"}
_CONTROL = {"if", "for", "while", "switch", "catch"}
_AFTER_LIST = {"const", "noexcept", "mutable", "override", "final", "try", "constexpr", "static"}
_WRAPPERS = {"TRY", "CO_TRY", "CO_CHECK_STATUS"}
_CO_WORDS = {"co_await", "co_return", "co_yield"}


def matching(tokens):
    """index of each opening bracket -> its closing one, and back."""
    pairs, stacks = {}, {"(": [], "[": [], "{": []}
    closing = {")": "(", "]": "[", "}": "{"}
    for index, (text, _) in enumerate(tokens):
        if text in stacks:
            stacks[text].append(index)
        elif text in closing and stacks[closing[text]]:
            start = stacks[closing[text]].pop()
            pairs[start], pairs[index] = index, start
    return pairs


def lambdas(tokens, pairs):
    """(introducer, body start, body end) of every lambda expression."""
    found = []
    for index, (text, _) in enumerate(tokens):
        if text != "[" or index not in pairs:
            continue
        before = tokens[index - 1][0] if index else ";"
        if re.fullmatch(r"[\w)\]\"]+", before) and before not in ("return", "co_return", "co_await"):
            continue  # A subscript.
        at = pairs[index] + 1
        if at < len(tokens) and tokens[at][0] == "<":
            while at < len(tokens) and tokens[at][0] not in ("(", "{", ";"):
                at += 1
        if at < len(tokens) and tokens[at][0] == "(":
            at = pairs.get(at, at) + 1
        while at < len(tokens) and tokens[at][0] not in ("{", ";", ")", ",", "}"):
            at = pairs[at] + 1 if tokens[at][0] in ("(", "[") and at in pairs else at + 1
        if at < len(tokens) and tokens[at][0] == "{" and at in pairs:
            found.append((index, at, pairs[at]))
    return found


def header_of(tokens, pairs, brace):
    """First token of the declaration or statement that a brace belongs to."""
    at = brace - 1
    while at >= 0 and tokens[at][0] not in (";", "{", "}"):
        at = pairs[at] if tokens[at][0] in (")", "]") and at in pairs else at
        at -= 1
        if at >= 0 and tokens[at][0] == "}" and tokens[at + 1][0] in (",", ")"):
            at = pairs.get(at, at) - 1  # A member initialiser in braces.
    return at + 1


def functions(tokens, pairs):
    """(name, first line, last line, body start, body end) of every function defined at file or class scope."""
    found, skip_until = [], -1
    for index, (text, line) in enumerate(tokens):
        if text != "{" or index < skip_until or index not in pairs:
            continue
        first = header_of(tokens, pairs, index)
        words = [tokens[i][0] for i in range(first, index)]
        opening = words.index("(") if "(" in words else -1
        if opening > 0 and "=" not in words[:opening]:
            end = pairs[index]
            found.append((words[opening - 1], tokens[first][1], tokens[end][1], index, end))
            skip_until = end
        elif not _TYPE_WORDS & set(words):
            skip_until = pairs[index]  # An initialiser.
    return found


@rule("function-length")
def function_length(tree):
    """Rows of a table (`case x: return y;`) are data and do not count."""
    row = re.compile(r"\s*(case\b.*:(\s*\w.*;)?|default:.*;)\s*$")
    for source in tree.cpp():
        if source.folder == "bench":
            continue
        pairs = matching(source.tokens)
        for name, first, last, _, _ in functions(source.tokens, pairs):
            body = source.code_lines[first - 1:last]
            length = sum(1 for line in body if not row.match(line))
            if length > MAX_FUNCTION:
                yield source.path, first, f"{name}: {length} lines, at most {MAX_FUNCTION}"


def _statement(tokens, index):
    """Tokens of the statement around index, cut at ; and braces."""
    start = end = index
    while start > 0 and tokens[start - 1][0] not in (";", "{", "}"):
        start -= 1
    while end < len(tokens) - 1 and tokens[end][0] not in (";", "{", "}"):
        end += 1
    return start, end


def _is_block(tokens, pairs, brace):
    before = tokens[brace - 1][0] if brace else ";"
    if before in (")", ";", "{", "}", "else", "do", "try", ":") or before in _AFTER_LIST:
        return True
    if tokens[header_of(tokens, pairs, brace)][0] in _TYPE_WORDS:
        return True
    words = [tokens[i][0] for i in range(header_of(tokens, pairs, brace), brace)]
    return "->" in words and before not in ("(", ",", "=", "return", "co_return")


def _enclosing(tokens, pairs, index):
    """Opening brackets around index within its block, innermost first; ends at the block's own brace."""
    at = index - 1
    while at >= 0:
        text = tokens[at][0]
        if text in (")", "]", "}") and at in pairs:
            at = pairs[at]
        elif text in ("(", "["):
            yield at
        elif text == "{":
            if _is_block(tokens, pairs, at):
                return
            yield at
        at -= 1


def _problem_of_await(tokens, pairs, index):
    start, end = _statement(tokens, index)
    words = [tokens[i][0] for i in range(start, end)]
    if words.count("co_await") > 1:
        return "one co_await per statement"
    if "?" in words:
        return "no co_await in a ternary"
    for opening in _enclosing(tokens, pairs, index):
        before = tokens[opening - 1][0] if opening else ""
        if tokens[opening][0] == "{":
            return "no co_await inside a braced initialiser"
        if before in _CONTROL or (before == "constexpr" and tokens[opening - 2][0] == "if"):
            return f"no co_await in the condition of {before}"
        if re.match(r"(EXPECT|ASSERT|D?CHECK)(_|$)", before):
            return f"no co_await inside {before}: name the result first"
    return None


@rule("co-await-shape")
def co_await_shape(tree):
    """The plain shapes read best, debug best, and no compiler gets them wrong (docs/adr/0001)."""
    for source in tree.cpp():
        if "co_await" not in source.text:
            continue
        pairs = matching(source.tokens)
        for index, (text, line) in enumerate(source.tokens):
            if text != "co_await" or source.tokens[index - 1][0] == "operator":
                continue
            problem = _problem_of_await(source.tokens, pairs, index)
            if problem:
                yield source.path, line, problem


@rule("lambda-coroutine")
def lambda_coroutine(tree):
    """A lambda's captures die with the lambda, usually before its coroutine ends."""
    for source in tree.cpp():
        if not any(word in source.text for word in _CO_WORDS):
            continue
        tokens, pairs = source.tokens, matching(source.tokens)
        bodies = lambdas(tokens, pairs)
        for introducer, start, end in bodies:
            if pairs[introducer] == introducer + 1:
                continue
            inner = [(s, e) for _, s, e in bodies if start < s and e < end]
            for at in range(start, end):
                if tokens[at][0] in _CO_WORDS and not any(s < at < e for s, e in inner):
                    yield source.path, tokens[introducer][1], "a capturing lambda is a coroutine: name a function"
                    break


# Build lists of a folder are a few lines that everybody edits; the top one carries the licence.
_BARE = re.compile(r".+/CMakeLists\.txt$")
_STYLED = {".h", ".cc", ".py", ".cmake", ".sh"}


def _is_styled(source):
    return source.suffix in _STYLED or source.path in ("dev", ".ci/run") or source.path.endswith(
        ("CMakeLists.txt", "/run"))


@rule("line-length")
def line_length(tree):
    for source in tree.files:
        if not _is_styled(source):
            continue
        for number, line in enumerate(source.lines, 1):
            is_code = source.is_cpp and source.code_lines[number - 1].strip()
            is_row = is_code and re.match(r"\s*case\b.*: return .*;$", line)
            limit = MAX_LINE if is_code and not is_row else MAX_COMMENT
            if len(line) > limit and "http" not in line:
                yield source.path, number, f"{len(line)} columns, at most {limit}"


@rule("file-length")
def file_length(tree):
    for source in tree.files:
        if _is_styled(source) and len(source.lines) - 1 > MAX_FILE:
            yield source.path, 1, f"{len(source.lines) - 1} lines, at most {MAX_FILE}"


def long_files(tree):
    """A remark, not a finding: hand-written product files that should be split soon."""
    return [(s.path, len(s.lines) - 1) for s in tree.cpp("src", "include") if len(s.lines) - 1 > WARN_FILE]


@rule("file-size")
def file_size(tree):
    for source in tree.files:
        if source.size > MAX_BYTES:
            yield source.path, 1, f"{source.size} bytes, at most {MAX_BYTES}"


@rule("whitespace")
def whitespace(tree):
    for source in tree.files:
        if not source.is_text or source.suffix in (".hex", ".bin", ".patch") or "/corpus/" in source.path:
            continue
        for number, line in enumerate(source.lines, 1):
            if line != line.rstrip():
                yield source.path, number, "trailing space"
            if "\t" in line and (_is_styled(source) or source.suffix == ".md"):
                yield source.path, number, "tab"
        if source.size and not source.text.endswith("\n"):
            yield source.path, len(source.lines), "no newline at the end"


@rule("licence")
def licence(tree):
    """The first line (after #!) is the licence in one line; nothing longer."""
    for source in tree.files:
        if not _is_styled(source) or _BARE.match(source.path):
            continue
        first = source.lines[1] if source.lines[0].startswith("#!") and len(source.lines) > 1 else source.lines[0]
        if "SPDX-License-Identifier: Apache-2.0" not in first:
            yield source.path, 1, "first line: SPDX-License-Identifier: Apache-2.0"


@rule("head")
def head(tree):
    """A header opens by saying what it is; then #pragma once."""
    for source in tree.cpp():
        if source.suffix != ".h":
            continue
        prose = [line for line in source.head[1:] if line and line != "pure"]
        if not prose or sum(len(line) for line in prose) < 40:
            yield source.path, 1, "no head paragraph: what it is, what it owns, what holds, what it is not"
        if not re.search(r"(?m)^#pragma once$", source.text):
            yield source.path, 1, "no #pragma once"


@rule("file-name")
def file_name(tree):
    for source in tree.files:
        if (source.is_cpp or source.suffix == ".py") and not re.fullmatch(
                r"[a-z0-9_]+\.(h|cc|py)", source.path.split("/")[-1]):
            yield source.path, 1, "file names are snake_case"


@rule("duplicate")
def duplicates(tree):
    """The same dozen lines in two places are one function that nobody has named yet."""
    noise = re.compile(r"[{}();,\s]*|#.*|(public|private|protected):|(case\b|default:).*|using .*;")
    seen = collections.defaultdict(list)
    for source in tree.cpp("src", "include"):
        # Strings count: rows of a table differ in nothing else.
        lines = [(number, " ".join(source.lines[number - 1].split()))
                 for number, line in enumerate(source.code_lines, 1) if line.strip()]
        lines = [(number, line) for number, line in lines if not noise.fullmatch(line)]
        for at in range(len(lines) - DUPLICATE_LINES + 1):
            window = tuple(line for _, line in lines[at:at + DUPLICATE_LINES])
            seen[window].append((source.path, lines[at][0]))
    reported = set()
    for places in seen.values():
        if len(places) > 1 and (places[0][0], places[1][0]) not in reported:
            reported.add((places[0][0], places[1][0]))
            yield places[0][0], places[0][1], f"{DUPLICATE_LINES} lines again at {places[1][0]}:{places[1][1]}"
