# SPDX-License-Identifier: Apache-2.0
"""The tree as the rules see it: files, their lines, their code without comments and strings, tokens."""

import functools
import os
import pathlib
import re
import subprocess

CPP = (".h", ".cc")
IGNORED_FOLDERS = {".git", "build", "ottla-data", "__pycache__", ".cache", ".venv", "node_modules"}
RULES = {}


def rule(name):
    """Registers a function Tree -> iterator of (path, line, message)."""

    def register(function):
        RULES[name] = function
        return function

    return register


_PARTS = re.compile(
    r'(?P<comment>//[^\n]*|/\*.*?\*/)'
    r'|(?P<raw>R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)")'
    r'|(?P<string>"(?:\\.|[^"\\\n])*")'
    r"|(?P<separator>(?<=[0-9a-fA-F])'(?=[0-9a-fA-F]))"
    r"|(?P<char>'(?:\\.|[^'\\\n])+')",
    re.DOTALL,
)
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|->|::|\[\[|\]\]|\S")


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def _blank_part(match):
    text = match.group(0)
    if match.group("comment"):
        return _blank(text)
    if match.group("separator"):
        return "_"
    return text[0] + _blank(text[1:-1]) + text[-1] if len(text) > 1 else text


class Source:
    """One file. `code` has the shape of `text` (same lines and columns) without comments and strings."""

    def __init__(self, root, path):
        self.path = path
        self.full = root / path
        self.suffix = pathlib.PurePosixPath(path).suffix
        self.is_cpp = self.suffix in CPP
        self.folder = path.split("/")[0]
        self.size = self.full.stat().st_size

    @functools.cached_property
    def bytes(self):
        return self.full.read_bytes()

    @functools.cached_property
    def is_text(self):
        return b"\0" not in self.bytes[:8192]

    @functools.cached_property
    def text(self):
        return self.bytes.decode("utf-8", errors="replace")

    @functools.cached_property
    def lines(self):
        return self.text.split("\n")

    @functools.cached_property
    def code(self):
        # An #include keeps its file name: includes() reads the text; here it must not look like code.
        return re.sub(r"(?m)^[ \t]*#[ \t]*include\b[^\n]*", lambda m: _blank(m.group(0)),
                      _PARTS.sub(_blank_part, self.text))

    @functools.cached_property
    def code_lines(self):
        return self.code.split("\n")

    @functools.cached_property
    def tokens(self):
        """(text, line) of every token outside preprocessor directives."""
        code = re.sub(r"(?m)^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: _blank(m.group(0)), self.code)
        found = []
        for number, line in enumerate(code.split("\n"), 1):
            found.extend((m.group(0), number) for m in _TOKEN.finditer(line))
        return found

    @functools.cached_property
    def includes(self):
        """(line, name, is_system) of every #include."""
        found = []
        for number, line in enumerate(self.lines, 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if match:
                found.append((number, match.group(2), match.group(1) == "<"))
        return found

    @functools.cached_property
    def head(self):
        """The comment lines at the top (without a #! line), markers removed."""
        lines = []
        for line in self.lines:
            if line.startswith("#!"):
                continue
            if not line.startswith("//"):
                break
            lines.append(line[2:].strip())
        return lines

    @property
    def module(self):
        """`storage` for src/storage/log.h; `include` for the contracts; None elsewhere."""
        parts = self.path.split("/")
        if parts[0] == "src" and len(parts) > 2:
            return parts[1]
        return "include" if parts[0] == "include" else None


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.files = [Source(self.root, path) for path in sorted(self._paths())]
        self.by_path = {source.path: source for source in self.files}

    def _paths(self):
        try:
            listed = subprocess.run(
                ["git", "-C", str(self.root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                capture_output=True, check=True).stdout.decode().split("\0")
            paths = [path for path in listed if path and (self.root / path).is_file()]
            if paths:
                return paths
        except (OSError, subprocess.CalledProcessError):
            pass  # No git, or a tarball: look for ourselves.
        paths = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name not in IGNORED_FOLDERS]
            paths.extend(
                pathlib.Path(folder, name).relative_to(self.root).as_posix() for name in names)
        return paths

    def cpp(self, *folders):
        """C++ files below the given top folders (all when none is given)."""
        return [s for s in self.files if s.is_cpp and (not folders or s.folder in folders)]

    def resolve(self, name):
        """The source behind an `#include "name"`, or None (a generated header)."""
        for prefix in ("include/", "src/", ""):
            if prefix + name in self.by_path:
                return self.by_path[prefix + name]
        return None
