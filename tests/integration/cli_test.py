# SPDX-License-Identifier: Apache-2.0
"""The bundled commands against the real binary.

It covers app/topic_command, app/produce_command, app/consume_command, app/storage_command and app/inspect_command.
"""
import json
import os
import tempfile
import unittest

from harness import OTTLA, Broker, cli, free_port, run


class Commands(unittest.TestCase):
    def test_a_topic_is_created_listed_described_written_read_and_deleted(self):
        with Broker() as broker:
            cli(broker, "topic", "create", "orders", "--partitions", "2", "--config", "segment.bytes=2097152")
            again = cli(broker, "topic", "create", "orders", check=False)
            self.assertEqual(again.returncode, 1)
            self.assertIn(b"TOPIC_ALREADY_EXISTS", again.stderr)
            cli(broker, "topic", "create", "orders", "--if-not-exists")
            listed = json.loads(cli(broker, "topic", "list", "--output", "json").stdout)
            self.assertEqual(listed, [{"topic": "orders", "partitions": 2, "replication_factor": 1}])
            described = json.loads(cli(broker, "topic", "describe", "orders", "--output", "json").stdout)
            self.assertEqual([(row["partition"], row["leader"], row["configs"]) for row in described],
                             [(0, 1, "segment.bytes=2097152"), (1, 1, "segment.bytes=2097152")])
            lines = [f"{i}:line {i}" for i in range(1000)]
            cli(broker, "produce", "orders", "--key-separator", ":", stdin="".join(l + "\n" for l in lines).encode())
            read = cli(broker, "consume", "orders", "--from-beginning", "--max-messages", "1000", "--output", "json").stdout
            records = [json.loads(line) for line in read.splitlines()]
            self.assertEqual(sorted(f"{r['key']}:{r['value']}" for r in records), sorted(lines))
            self.assertEqual({r["partition"] for r in records}, {0, 1})
            cli(broker, "topic", "delete", "orders")
            self.assertEqual(json.loads(cli(broker, "topic", "list", "--output", "json").stdout), [])
            self.assertEqual(cli(broker, "topic", "describe", "orders", check=False).returncode, 1)

    def test_a_second_process_on_the_directory_says_so_and_exits(self):
        with Broker() as broker:
            second = run(OTTLA, "start", "--override", f"log.dirs={broker.data}", "--override",
                         f"listeners=PLAINTEXT://127.0.0.1:{free_port()}", check=False)
            self.assertNotEqual(second.returncode, 0)
            self.assertIn(broker.data, (second.stdout + second.stderr).decode())
            self.assertEqual(cli(broker, "topic", "list").returncode, 0)

    def test_wrong_settings_refuse_to_start_and_unknown_ones_name_the_nearest(self):
        bad = run(OTTLA, "start", "--override", "num.partitions=many", check=False)
        self.assertNotEqual(bad.returncode, 0)
        self.assertIn(b"num.partitions=many", bad.stdout + bad.stderr)
        with Broker("log.segment.byte=7") as broker:
            self.assertIn("did you mean log.segment.bytes?", "".join(broker.lines))

    def test_several_voters_are_refused_by_name(self):
        voters = run(OTTLA, "start", "--override", "controller.quorum.voters=1@a:1,2@b:2,3@c:3", check=False)
        self.assertNotEqual(voters.returncode, 0)
        self.assertIn(b"controller.quorum.voters", voters.stdout + voters.stderr)

    def test_files_and_variables_configure_it(self):
        with Broker() as broker:
            pass
        for name, content in [("server.properties", "num.partitions=4\n"), ("ottla.yaml", "num:\n  partitions: 4\n")]:
            with self.subTest(name), Broker() as broker:
                path = os.path.join(broker.directory, name)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(content)
                broker.stop()
                command = broker.command
                broker.command = lambda path=path, command=command: command()[:2] + [path] + command()[2:]
                broker.start()
                cli(broker, "topic", "create", "four")
                listed = json.loads(cli(broker, "topic", "list", "--output", "json").stdout)
                self.assertEqual(listed[0]["partitions"], 4)

    def test_storage_close_finishes_an_unclean_stop(self):
        with Broker() as broker:
            cli(broker, "produce", "left-behind", stdin=b"one\ntwo\n")
            broker.kill()
            self.assertTrue(os.path.isdir(os.path.join(broker.data, ".ottla")))
            run(OTTLA, "storage", "close", broker.data)
            self.assertFalse(os.path.exists(os.path.join(broker.data, ".ottla")))
            self.assertEqual([n for n in os.listdir(broker.data) if n.startswith(".ottla-journal")], [])
            broker.start()
            read = cli(broker, "consume", "left-behind", "--from-beginning", "--max-messages", "2").stdout
            self.assertEqual(read, b"one\ntwo\n")


    def test_storage_close_makes_nothing_where_no_log_directory_is(self):
        with tempfile.TemporaryDirectory() as root:
            for name in ("absent", "."):
                done = run(OTTLA, "storage", "close", os.path.join(root, name), check=False)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertEqual(os.listdir(root), [], done.stderr)

    def test_every_verb_says_how_it_is_called(self):
        overview = run(OTTLA, "--help").stdout.decode()
        verbs = [line.split()[0] for line in overview.splitlines() if line.startswith("  ")]
        self.assertIn("inspect", verbs)
        for verb in verbs:
            said = run(OTTLA, verb, "--help").stdout.decode()
            self.assertTrue(said.startswith(f"usage: ottla {verb}"), said)
        self.assertRegex(run(OTTLA, "--version").stdout.decode(), r"^ottla \d+\.\d+\.\d+$")


class Inspect(unittest.TestCase):
    def test_lines_are_encoded_again_or_answered_with_an_error(self):
        lines = b"request 18 0 \nrequest 18 3 056f74746c610231 00\nrequest 999 0 00\nnonsense\n\nrequest 18 0 zz\n"
        out = run(OTTLA, "inspect", "message", stdin=lines).stdout.decode().splitlines()
        self.assertEqual(len(out), 6)
        for line in out[2:]:
            self.assertTrue(line.startswith("error: "), line)

    def test_no_input_makes_it_fail(self):
        garbage = os.urandom(100_000) + b"\n" + b"request 1 4 " + b"ff" * 50_000 + b"\n"
        self.assertEqual(run(OTTLA, "inspect", "message", stdin=garbage).returncode, 0)


if __name__ == "__main__":
    unittest.main()
