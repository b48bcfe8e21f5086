# SPDX-License-Identifier: Apache-2.0
"""Who may include whom: the table of docs/ARCHITECTURE.md as a rule that fails."""

from source import rule

_BELOW_BROKER = {"base", "protocol", "records", "storage", "raft", "metadata", "controller", "coordinator",
                 "replication", "security", "client"}

# module -> modules it may include besides itself and include/. A new module needs a row here.
ALLOWED = {
    "include": set(),
    "base": set(),
    "protocol": {"base"},
    "records": {"base"},
    "security": {"base"},
    "storage": {"base", "records"},
    "metadata": {"base", "protocol"},
    "client": {"base", "protocol", "records"},
    "raft": {"base", "protocol", "records"},
    "controller": {"base", "protocol", "records", "metadata"},
    "coordinator": {"base", "protocol", "records", "metadata"},
    "replication": {"base", "protocol", "records", "metadata", "storage"},
    "broker": _BELOW_BROKER,
    "server": _BELOW_BROKER | {"broker"},
    "admin": _BELOW_BROKER | {"broker"},
    "io": {"base"},
    "app": _BELOW_BROKER | {"broker", "server", "admin", "io"},
}

# One file of a module may go further than its module: the driver of a pure core writes its log.
EXTRA = {
    "src/raft/driver": {"storage"},
    "src/raft/metadata_log": {"storage"},
    "src/raft/format": {"storage"},
    "src/controller/driver": {"raft"},
}

# Third-party headers and the only places that may include them (path prefixes).
THIRD_PARTY = {
    "boost/": ("src/io/", "tests/io/", "bench/"),
    "openssl/": ("src/io/", "src/security/"),
    "spdlog/": ("src/app/console_log",),
    "yaml-cpp/": ("src/app/yaml"),
    "zstd": ("src/records/codec", "tests/records/"),
    "lz4": ("src/records/codec", "tests/records/"),
    "snappy": ("src/records/codec", "src/records/snappy_framing", "tests/records/"),
    "zlib.h": ("src/records/codec", "tests/records/"),
    "gtest/": ("tests/",),
    "gmock/": ("tests/",),
    "benchmark/": ("bench/",),
}

# System and standard headers that stand for a clock, a device, a thread or a lock: only the outer shell.
_OUTER = ("src/io/", "src/app/", "tests/io/", "tests/app/", "tests/integration/", "tests/crash/", "bench/")
IMPURE = {
    name: _OUTER
    for name in (
        "thread", "mutex", "condition_variable", "shared_mutex", "future", "semaphore", "latch", "barrier",
        "stop_token", "random", "iostream", "fstream", "filesystem", "regex", "unistd.h", "fcntl.h",
        "pthread.h", "signal.h", "csignal", "poll.h", "netdb.h", "dirent.h", "ctime", "time.h")
}
IMPURE["atomic"] = _OUTER + ("include/ottla/buffer.h", "src/base/frame_pool", "src/base/metrics",
                             "include/ottla/metrics.h")
_IMPURE_FOLDERS = ("sys/", "netinet/", "arpa/", "linux/")
# Tests may look at the real disk (golden files, temporary folders).
_TEST_ONLY_ALLOWED = {"filesystem", "fstream", "iostream"}

PORTS = {"ottla/runtime.h", "ottla/file.h", "ottla/transport.h", "ottla/ports.h"}


@rule("layer")
def layers(tree):
    for source in tree.cpp("src", "include"):
        module = source.module
        if module not in ALLOWED:
            yield source.path, 1, f"module '{module}' has no row in tests/tidy/layers.py"
            continue
        allowed = set(ALLOWED[module])
        for prefix, more in EXTRA.items():
            if source.path.startswith(prefix):
                allowed |= more
        for line, name, is_system in source.includes:
            if is_system or "/" not in name:
                continue
            target = name.split("/")[0]
            if target not in ("ottla", module) and target not in allowed:
                yield source.path, line, f"{module} may not include {target} (\"{name}\")"


@rule("io-is-private")
def io_is_private(tree):
    """Whatever is tested or simulated must not depend on the real backend."""
    for source in tree.cpp("tests"):
        if source.path.startswith(("tests/io/", "tests/app/", "tests/crash/", "tests/integration/")):
            continue
        for line, name, _ in source.includes:
            if name.startswith("io/"):
                yield source.path, line, f"only tests/io, tests/app and tests/crash may include \"{name}\""


@rule("third-party")
def third_party(tree):
    for source in tree.cpp():
        for line, name, is_system in source.includes:
            if not is_system:
                continue
            for prefix, places in THIRD_PARTY.items():
                if name.startswith(prefix) and not source.path.startswith(places):
                    yield source.path, line, f"<{name}> belongs to {', '.join(places)}"
            places = IMPURE.get(name, _OUTER if name.startswith(_IMPURE_FOLDERS) else None)
            if places is None or source.path.startswith(places):
                continue
            if source.folder == "tests" and name in _TEST_ONLY_ALLOWED:
                continue
            yield source.path, line, f"<{name}> belongs to {', '.join(places[:2])}"


def _reaches_port(tree, source, seen):
    """The chain of includes from source to a port, or None."""
    for _, name, is_system in source.includes:
        if is_system:
            continue
        if name in PORTS:
            return [name]
        target = tree.resolve(name)
        if target is None or target.path in seen:
            continue
        seen.add(target.path)
        chain = _reaches_port(tree, target, seen)
        if chain:
            return [name] + chain
    return None


def _is_marked_pure(source):
    return "pure" in source.head


@rule("pure")
def pure(tree):
    """`// pure` holds for the header, for all it includes, and for the .cc that implements it."""
    for source in tree.cpp("src", "include"):
        header = tree.by_path.get(source.path[:-3] + ".h") if source.suffix == ".cc" else None
        if not _is_marked_pure(source) and not (header and _is_marked_pure(header)):
            continue
        chain = _reaches_port(tree, source, {source.path})
        if chain:
            yield source.path, 1, f"marked pure but reaches a port: {' -> '.join(chain)}"
