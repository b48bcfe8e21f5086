#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves of every rule that it can fail, and that good code passes. Small trees in a temporary folder."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import tidy  # noqa: E402
from source import RULES  # noqa: E402

HEAD = "// SPDX-License-Identifier: Apache-2.0\n// A thing of the test: it owns nothing and promises nothing.\n"
_FIX = "FIX" + "ME"


def header(body, pure=False):
    return HEAD + ("// pure\n" if pure else "") + "#pragma once\n" + body


def unit(body):
    return "// SPDX-License-Identifier: Apache-2.0\n" + body


# rule -> trees that must fail it; a tree is {path: text}.
BAD = {
    "layer": [
        {"src/storage/log.h": header('#include "server/session.h"\n')},
        {"src/raft/raft.h": header('#include "storage/log.h"\n')},
        {"include/ottla/x.h": header('#include "base/endian.h"\n')},
        {"src/broker/x.h": header('#include "io/reactor.h"\n')},
        {"src/newcomer/x.h": header("")},
    ],
    "io-is-private": [{"tests/storage/x_test.cc": unit('#include "io/reactor.h"\n')}],
    "third-party": [
        {"src/server/x.h": header("#include <boost/asio.hpp>\n")},
        {"src/server/x.h": header("#include <openssl/ssl.h>\n")},
        {"src/storage/x.h": header("#include <spdlog/spdlog.h>\n")},
        {"src/broker/x.h": header("#include <yaml-cpp/yaml.h>\n")},
        {"src/raft/x.h": header("#include <mutex>\n")},
        {"src/storage/x.h": header("#include <sys/stat.h>\n")},
        {"tests/sim/x.h": header("#include <thread>\n")},
        {"src/server/x.h": header("#include <atomic>\n")},
    ],
    "pure": [
        {"include/ottla/runtime.h": header(""), "src/raft/raft.h": header('#include "ottla/runtime.h"\n', True)},
        {"include/ottla/file.h": header(""), "src/base/a.h": header('#include "base/b.h"\n', True),
         "src/base/b.h": header('#include "ottla/file.h"\n')},
        {"include/ottla/file.h": header(""), "src/base/a.h": header("", True),
         "src/base/a.cc": unit('#include "base/a.h"\n#include "ottla/file.h"\n')},
    ],
    "settings": [
        {"src/base/settings_topic.cc": unit('R r[] = {{"a.b", int32, "1", "", kStatic, {}}};\n'),
         "src/broker/x.cc": unit('auto x = settings.number("a.b");\n')},
        {"src/base/settings_topic.cc": unit('R r[] = {{"a.b", int32, "1", "", kStatic, "Does it."}};\n')},
        {"src/base/settings_topic.cc": unit('R r[] = {{"a", list, "", "", kStatic, {}}};\n'
                                            'S s[] = {{"t.a", {"x", "a"}}};\n'),
         "src/broker/x.cc": unit('auto x = topic_text(settings, overrides, "t.a");\n')},
        {"src/base/settings_topic.cc": unit('R r[] = {{"a", list, "", "", kStatic, "Does it.", "Why?"}};\n'),
         "src/broker/x.cc": unit('auto x = settings.list("a");\n')},
    ],
    "banned-word": [
        {"src/raft/x.cc": unit(line + "\n")} for line in (
            "auto t = std::chrono::steady_clock::now();", "std::random_device device;", "int x = rand();",
            "std::uniform_int_distribution<int> d(0, 9);", "std::thread worker;", "std::mutex lock;",
            "std::atomic<int> count;", "thread_local int here;", 'auto h = getenv("HOME");', "::fsync(fd);",
            "pwrite(fd, p, n, 0);", "using namespace std;", "std::function<void()> f;", 'printf("x");',
            "std::cout << 1;", "assert(x);", "friend class LogTest;", "std::map<Node*, int> order;",
            "std::set<const Node*> order;", "struct LogManager {};", "throw 1;", "try { f(); } catch (...) {}",
            "time(nullptr);", "std::shuffle(a, b, g);")
    ] + [{"tests/sim/x.cc": unit("auto t = std::chrono::system_clock::now();\n")}],
    "leftover": [{"src/raft/x.cc": unit(f"// {_FIX}: later\n")}],
    "two-draws": [{"src/raft/x.cc": unit("void f() { g(r.random(), r.random()); }\n")}],
    "unordered-walk": [
        {"src/raft/x.cc": unit("std::unordered_map<int, int> peers_;\nvoid f() {\nfor (auto& p : peers_) g(p);\n}\n")},
        {"src/raft/x.h": header("std::unordered_set<int> peers_;\n"),
         "src/raft/x.cc": unit("void f() {\nfor (auto& p : this->peers_) g(p);\n}\n")},
    ],
    "function-length": [
        {"src/raft/x.cc": unit("void f() {\n" + "    g();\n" * 70 + "}\n")},
        {"src/raft/x.cc": unit("namespace n {\nX::X(int a) : a_{a}, b_(2) {\n" + "    g();\n" * 70 + "}\n}\n")},
        {"src/raft/x.h": header("class X {\n    int f() const {\n" + "    g();\n" * 70 + "}\n};\n")},
    ],
    "co-await-shape": [
        {"src/raft/x.cc": unit("Task<> f() {\n" + line + "\n}\n")} for line in (
            "auto x = g(co_await a(), co_await b());", "if (co_await a()) b();", "while (co_await a()) {}",
            "switch (co_await a()) {}", "auto x = c ? co_await a() : b();", "auto x = Pair{co_await a(), 2};",
            "for (auto& x : co_await a()) b(x);", "EXPECT_EQ(co_await a(), 1);", "f({co_await a()});",
            "if (auto r = co_await a(); !r) b();", "if (x && !(co_await a()).ok()) b();",
            "return_list = {1, co_await a()};", "CHECK(co_await a(), \"why\");")
    ],
    "lambda-coroutine": [
        {"src/raft/x.cc": unit("void f() { spawn([this]() -> Task<> { co_await g(); }); }\n")},
        {"src/raft/x.cc": unit("void f() { auto l = [&](int a) -> Task<int> { co_return a; }; }\n")},
        {"tests/raft/x.cc": unit("void f() { spawn([x = 1] { return [x]() -> Task<> { co_return; }; }); }\n")},
    ],
    "line-length": [
        {"src/raft/x.cc": unit("int x = " + "1 + " * 30 + "1;\n")},
        {"src/raft/x.py": "# SPDX-License-Identifier: Apache-2.0\n" + "x" * 121 + "\n"},
    ],
    "file-length": [{"src/raft/x.cc": unit("int x;\n" * 801)}],
    "file-size": [{"docs/x.txt": "x\n" * 110_000}],
    "whitespace": [{"docs/x.md": "word \n"}, {"docs/x.md": "no end"}, {"src/raft/x.cc": unit("\tint x;\n")}],
    "licence": [{"src/raft/x.cc": "int x;\n"}, {"dev": "#!/bin/sh\necho\n"}],
    "head": [
        {"src/raft/x.h": "// SPDX-License-Identifier: Apache-2.0\n#pragma once\n"},
        {"src/raft/x.h": "// SPDX-License-Identifier: Apache-2.0\n// pure\n#pragma once\n"},
        {"src/raft/x.h": HEAD + "int x;\n"},
    ],
    "file-name": [{"src/raft/RaftLog.cc": unit("")}],
    "duplicate": [
        {"src/raft/a.cc": unit("".join(f"step_{i}(x);\n" for i in range(12))),
         "src/raft/b.cc": unit("int y;\n" + "".join(f"step_{i}(x);\n" for i in range(12)))},
    ],
    "cmake-list": [
        {"src/raft/x.cc": unit(""), "src/raft/CMakeLists.txt": "ottla_module(raft SOURCES y.cc xx.cc)\n"},
        {"src/raft/x.cc": unit("")},
    ],
    "tested": [
        {"src/raft/x.h": header(""), "tests/raft/y_test.cc": unit('#include "raft/y.h"\n')},
        {"src/raft/x.cc": unit("")},
    ],
    "link": [
        {"docs/x.md": "[y](y.md)\n"}, {"docs/x.md": "see `src/nowhere/x.h`\n"},
        {"docs/x.md": "[y](y.md#three)\n", "docs/y.md": "# One\n## Two\n"},
    ],
    "generated": [
        {"src/protocol/generate.py": "print('new')\n", "docs/PROTOCOL.md": "old\n"},
        {"src/protocol/generate.py": "raise SystemExit(1)\n", "docs/PROTOCOL.md": "old\n"},
    ],
}

# Trees that no rule may complain about.
GOOD = [
    {"src/storage/log.h": header('#include "records/batch.h"\n#include "ottla/file.h"\n'),
     "tests/storage/log_test.cc": unit('#include "storage/log.h"\n'),
     "tests/storage/CMakeLists.txt": "ottla_tests(log_test.cc)\n"},
    {"src/raft/driver.h": header('#include "storage/log.h"\n'),
     "tests/raft/driver_test.cc": unit(""), "tests/raft/CMakeLists.txt": "ottla_tests(driver_test.cc)\n"},
    {"include/ottla/x.h": header("// std::mutex in prose, \"rand()\" and using namespace std;\n", True)},
    {"tests/raft/x_test.cc": unit(
        'const char* s = "std::mutex"; const char* raw = R"(rand() co_await // )"; int n = 1\'000;\n'
        "Task<> f(std::map<int, Node*> by_id) {\n"
        "    auto x = co_await g(a, b);\n    CO_TRY(auto y, co_await h(x));\n    co_await i({.a = 1, .b = x});\n"
        "    co_return co_await k();\n}\n"
        "void l() { spawn([](int a) -> Task<> { co_await g(a); }(1)); }\n"
        "auto m = [&] { return list[0]; };\n"
        "for (auto& p : sorted_) { g(p); }\n"),
     "tests/raft/CMakeLists.txt": "ottla_tests(x_test.cc)\n"},
    {"tests/raft/x_test.cc": unit(
        "std::string_view name(int x) {\n    switch (x) {\n" + "        case 1: return \"a\";\n" * 90 + "    }\n}\n"
        "std::unordered_map<int, int> counts_;\nvoid f() {\n"
        "    // order-free: a sum.\n    for (auto& c : counts_) sum += c.second;\n}\n"),
     "tests/raft/CMakeLists.txt": "ottla_tests(x_test.cc)\n"},
    {"docs/x.md": "# Two words: `code`\n[here](#two-words-code) [there](y.md) [web](https://example.org)\n"
                  "```\n[no](link.md)\n```\n", "docs/y.md": "text\n"},
]


def names_of(tree):
    with tempfile.TemporaryDirectory() as folder:
        for path, text in tree.items():
            full = pathlib.Path(folder, path)
            full.parent.mkdir(parents=True, exist_ok=True)
            full.write_text(text, encoding="utf-8")
        return [(name, f"{path}:{line}: {message}") for name, path, line, message in tidy.findings(folder)]


class TidyTest(unittest.TestCase):
    def test_every_rule_has_a_tree_that_fails_it(self):
        self.assertEqual(set(BAD), set(RULES))

    def test_bad_trees_fail_their_rule(self):
        for name, trees in BAD.items():
            for tree in trees:
                with self.subTest(rule=name, tree=tree):
                    self.assertIn(name, [found for found, _ in names_of(tree)])

    def test_good_trees_pass_every_rule(self):
        for tree in GOOD:
            with self.subTest(tree=tree):
                self.assertEqual([], names_of(tree))


if __name__ == "__main__":
    unittest.main()
