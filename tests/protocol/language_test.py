#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The schema language refuses what makes no sense, by file and line, and reads the rest as written."""

import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src" / "protocol" / "generator"))
sys.dont_write_bytecode = True

import cpp  # noqa: E402
import language  # noqa: E402

HEAD = "api 7 Thing broker\nversions 1-4\nflexible 3\n\nrequest\n"


def load(text):
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "thing.msg").write_text(text)
        return language.load(folder)


def request(*fields):
    return load(HEAD + "".join(f"  {field}\n" for field in fields) + "\nresponse\n  error_code int16\n")


class Language(unittest.TestCase):
    def refuses(self, why, *fields):
        with self.assertRaisesRegex(language.SchemaError, why):
            request(*fields)

    def test_reads_a_field_with_every_mark(self):
        field, = request("name string? = empty v3+ tag 5 null v4+ json fooBar  # why").messages[0].fields
        self.assertEqual((field.name, field.json, field.type, field.default), ("name", "fooBar", "string", "empty"))
        self.assertEqual((field.versions, field.nullable, field.tag, field.prose), ((3, 4), (4, 4), 5, "why"))

    def test_reads_versions_types_and_defaults(self):
        a, b, c = request("a [int32]? v2-3 null v3", "b int64 = -1 v3+ tag 0 # prose", "c bool").messages[0].fields
        self.assertEqual((a.array, a.type, a.versions, a.nullable), (True, "int32", (2, 3), (3, 3)))
        self.assertEqual((b.default, b.tag, b.versions, b.prose), ("-1", 0, (3, 4), "prose"))
        self.assertEqual((c.versions, c.nullable), ((1, 4), None))

    def test_names_turn_to_kafkas_json(self):
        a, b = request("throttle_time_ms int32", "kraft_version int16 json kRaftVersion").messages[0].fields
        self.assertEqual((a.json, b.json), ("throttleTimeMs", "kRaftVersion"))

    def test_inner_structures_come_first(self):
        message = request("topics [Topic]", "  partitions [Partition]", "    index int32").messages[0]
        self.assertEqual(list(message.structs), ["Partition", "Topic"])

    def test_refuses_nonsense(self):
        self.refuses("thing.msg:6: not a field", "name")
        self.refuses("unknown type Nothing", "a Nothing")
        self.refuses("only a structure has fields", "a int32", "  b int32")
        self.refuses("twice", "a int32", "a int64")
        self.refuses("twice", "a int32 v3+ tag 0", "b int32 v3+ tag 0")
        self.refuses("a tag needs a flexible version", "a int32 tag 0")
        self.refuses("exists in no version", "a int32 v5+")
        self.refuses("`null` needs", "a string null v3+")
        self.refuses("null or empty by default", 'a string? = "x"')
        self.refuses("two blanks deeper", "    a int32")

    def test_refuses_bad_statements(self):
        for text, why in (("api 1 A\n", "names its listeners"), ("banana\n", "unknown statement"),
                          ("message M\n  a int32\n", "has no versions"),
                          ("api 1 A broker\nversions x\n", "not a range"),
                          ("retired 1 A\nretired 1 B\napi 1 C broker\nversions 0\n", "share a key")):
            with self.assertRaisesRegex(language.SchemaError, why):
                load(text)

    def test_the_emitter_refuses_types_without_a_codec(self):
        for field in ("a int32?", "a [bool]", "a [records]"):
            with self.assertRaises(language.SchemaError):
                cpp.files(request(field))

    def test_output_does_not_depend_on_the_run(self):
        schema = ROOT / "src" / "protocol" / "schema"
        self.assertEqual(cpp.files(language.load(schema)), cpp.files(language.load(schema)))


if __name__ == "__main__":
    unittest.main()
