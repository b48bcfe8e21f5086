# SPDX-License-Identifier: Apache-2.0
"""Words that do not appear, each with what to write in its place."""

import re

from source import rule

_SHELL = ("src/io/", "src/app/", "tests/io/", "tests/app/", "tests/crash/", "tests/integration/", "bench/")
_TEST = ("tests/",)
_FIX = "FIX" + "ME"
_TODO = "TO" + "DO"

# (pattern over code without comments and strings, where it is allowed, what to do instead)
BANNED = [
    (r"\b(steady_clock|system_clock|high_resolution_clock|utc_clock)\s*::\s*now\b", _SHELL,
     "time comes from Runtime::now() and wall_time()"),
    (r"\b(clock_gettime|gettimeofday|time)\s*\(\s*(NULL|nullptr|0|CLOCK_\w+)", _SHELL,
     "time comes from Runtime::now() and wall_time()"),
    (r"\bstd\s*::\s*random_device\b", _SHELL, "randomness comes from Runtime::random()"),
    (r"\b(s?rand|random_shuffle|arc4random|getrandom)\s*\(", _SHELL, "randomness comes from Runtime::random()"),
    (r"\bstd\s*::\s*(\w+_distribution|shuffle|sample|mt19937(_64)?|default_random_engine|minstd_rand0?)\b", (),
     "standard distributions and engines differ between libraries: draw from Runtime::random()"),
    (r"\bstd\s*::\s*(this_thread|j?thread)\b", _SHELL,
     "threads belong to src/io; coroutines wait on the Runtime"),
    (r"\bstd\s*::\s*((recursive_|timed_|shared_)*mutex|lock_guard|unique_lock|scoped_lock|condition_variable)\b",
     _SHELL, "a shard owns its state: no locks outside src/io"),
    (r"\bstd\s*::\s*(async|future|promise|packaged_task|call_once|once_flag)\b", _SHELL,
     "Task, Event and when_all of include/ottla"),
    (r"\bstd\s*::\s*atomic\w*\b",
     _SHELL + ("include/ottla/buffer.h", "include/ottla/metrics.h", "src/base/metrics", "src/base/frame_pool"),
     "shards share nothing: no atomics outside src/io, buffer counts and metrics"),
    (r"\bthread_local\b", ("src/base/frame_pool", "src/io/"), "pass the object: no thread_local but the frame pool"),
    (r"\b(secure_)?getenv\s*\(", _SHELL, "configuration is read in src/app and passed down"),
    (r"(?<![\w.>:])(?:::)?\s*\b(pread|pwrite|preadv2?|pwritev2?|fsync|fdatasync|ftruncate|fallocate|mmap|munmap|"
     r"epoll_\w+|socket|recvmsg|sendmsg|sendfile|syscall|ioctl|fcntl)\s*\(", _SHELL,
     "system calls belong to src/io, behind FileSystem and Transport"),
    (r"\busing\s+namespace\s+(?!\w+_layout\b|std::(\w+_)?literals\b)[\w:]+", _TEST, "name what you use"),
    (r"\busing\s+namespace\s+(std|testing|fmt|boost)\s*;", (), "name what you use"),
    (r"\bstd\s*::\s*function\b", _TEST + ("src/io/", "src/app/", "bench/"),
     "it allocates and copies: a template parameter, an Op or a virtual call"),
    (r"\b(v?f?printf|puts|fputs|putchar|s?n?printf)\s*\(", ("src/base/check.cc", "src/app/", "tests/", "bench/"),
     "logs go through base/log, text through fmt"),
    (r"\bstd\s*::\s*(cout|cerr|clog)\b", ("src/app/", "tests/", "bench/"), "logs go through base/log"),
    (r"(?<!static_)\bassert\s*\(", (), "CHECK(condition, \"why\") is active in release builds"),
    (r"\bfriend\s+class\s+\w*Test\w*", (), "test through the public interface"),
    (r"\b(map|set|multimap|multiset)\s*<\s*(const\s+)?[\w:]+\s*(<[^<>]*>)?\s*(const\s*)?\*", (),
     "ordered by address: different in every run; key by an id"),
    (r"\bstd\s*::\s*less\s*<\s*[^<>]*\*\s*>", (), "ordered by address: different in every run; key by an id"),
    (r"\b(class|struct)\s+(?!PartitionManager\b)\w*(Manager|Helper|Helpers|Util|Utils|Impl|Base|Data)\b", (),
     "name the thing, not that it is a thing"),
    (r"\bcatch\s*\(", ("src/io/", "src/app/", "src/base/log", "tests/", "bench/"),
     "only third parties throw; catch them where they are called"),
    (r"\bthrow\b", ("src/io/", "bench/"), "errors are values: return Error"),
]
_BANNED = [(re.compile(pattern), allowed, instead) for pattern, allowed, instead in BANNED]


@rule("banned-word")
def banned_words(tree):
    for source in tree.cpp("src", "include", "tests", "bench", "cmake"):
        for number, line in enumerate(source.code_lines, 1):
            if not line.strip():
                continue
            for pattern, allowed, instead in _BANNED:
                match = pattern.search(line)
                if match and not source.path.startswith(allowed):
                    yield source.path, number, f"'{match.group(0).strip()}': {instead}"


@rule("leftover")
def leftovers(tree):
    """What is not done has an issue, not a note in the code."""
    pattern = re.compile(rf"\b({_FIX}|{_TODO}|XXX)\b")
    for source in tree.files:
        if source.suffix == ".md" or source.path.startswith("tests/tidy/") or not source.is_text:
            continue
        for number, line in enumerate(source.lines, 1):
            if pattern.search(line):
                yield source.path, number, "open an issue, or finish it"


@rule("two-draws")
def two_draws(tree):
    """The order of evaluation of arguments differs between compilers: draw into named variables.
    Conditions, `&&`, `||` and `?` order what stands on their sides."""
    for source in tree.cpp("src", "include", "tests"):
        if "random" not in source.code:
            continue
        tokens, draws, parens = source.tokens, 0, []
        for index, (text, line) in enumerate(tokens):
            before = tokens[index - 1][0] if index else ""
            if text == "(":
                parens.append(before)
                if before in ("random", "draw", "random_below"):
                    draws += 1
                    if draws == 2:
                        yield source.path, line, "two random draws in one statement"
            elif text == ")" and parens:
                draws = 0 if parens.pop() in ("if", "while", "for", "switch") else draws
            elif text in (";", "{", "}", "?") or (text in "&|" and text == before):
                draws = 0


@rule("unordered-walk")
def unordered_walks(tree):
    """Hash order must not reach an effect; a walk that cannot says so: `// order-free: why`."""
    declared = re.compile(r"\bunordered_(?:multi)?(?:map|set)\s*<.*>\s+(\w+)\s*[;{=]")
    loop = re.compile(r"\bfor\s*\(.*[^:]:(?!:)\s*(?:\w+(?:\.|->))*(\w+)\s*\)")
    for source in tree.cpp("src", "include", "tests"):
        header = tree.by_path.get(source.path[:-3] + ".h") if source.suffix == ".cc" else None
        names = set(declared.findall(source.code)) | (set(declared.findall(header.code)) if header else set())
        if not names:
            continue
        for number, line in enumerate(source.code_lines, 1):
            match = loop.search(line)
            near = source.lines[max(0, number - 2):number]
            if match and match.group(1) in names and not any("order-free:" in text for text in near):
                yield source.path, number, f"walks '{match.group(1)}' in hash order"
