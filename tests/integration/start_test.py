# SPDX-License-Identifier: Apache-2.0
"""How the real binary starts: where its settings come from, what it refuses, and how long it takes after kill -9.

It covers app/start_command, app/config_command, app/console_log and app/cli.
"""
import json
import os
import socket
import tempfile
import time
import unittest

from harness import OTTLA, Broker, cli, free_port, run
from wire import Wire, batch

# A broker that waited for the session of its own earlier registration would wait 9 s (broker.session.timeout.ms).
SESSION_SECONDS = 9
ROUNDS = 4


class Configured(Broker):
    """A broker with a configuration file and variables of its own."""

    def __init__(self, name, content, variables, *overrides):
        super().__init__(*overrides)
        self.file = os.path.join(self.directory, name)
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(content)
        self.variables = variables

    def command(self):
        words = super().command()
        pairs = [f"{name}={value}" for name, value in self.variables.items()]
        return ["env", *pairs, words[0], words[1], self.file, *words[2:]]


def partitions_by_default(broker):
    cli(broker, "topic", "create", "sized")
    return json.loads(cli(broker, "topic", "list", "--output", "json").stdout)[0]["partitions"]


class Settings(unittest.TestCase):
    def test_the_command_line_is_stronger_than_variables_and_they_than_the_file(self):
        yaml, properties = "num.partitions: 2\n", "num.partitions=2\n"
        variable = {"KAFKA_NUM_PARTITIONS": "3"}
        for name, content, variables, overrides, expected in [
            ("ottla.yaml", yaml, {}, (), 2),
            ("server.properties", properties, {}, (), 2),
            ("ottla.yaml", yaml, variable, (), 3),
            ("server.properties", properties, variable, (), 3),
            ("server.properties", properties, variable, ("num.partitions=4",), 4),
        ]:
            with self.subTest(name=name, variables=variables, overrides=overrides):
                with Configured(name, content, variables, *overrides) as broker:
                    self.assertEqual(partitions_by_default(broker), expected)

    def test_an_unknown_key_of_every_source_is_one_warning_that_names_the_nearest(self):
        variables = {"KAFKA_LOG_RETENTION_HOUR": "1"}
        with Configured("server.properties", "num.partition=2\n", variables, "log.segment.byte=7") as broker:
            warnings = [line for line in broker.lines if "did you mean" in line]
            self.assertEqual(len(warnings), 3, warnings)
            for source, key, nearest in [("server.properties", "num.partition", "num.partitions"),
                                         ("environment", "log.retention.hour", "log.retention.hours"),
                                         ("--override", "log.segment.byte", "log.segment.bytes")]:
                fitting = [w for w in warnings if source in w and f" {key}," in w and f"did you mean {nearest}?" in w]
                self.assertEqual(len(fitting), 1, (source, warnings))


class Refusals(unittest.TestCase):
    def refused(self, *words, variables=()):
        """The one line that says why."""
        with tempfile.TemporaryDirectory() as directory:
            done = run("env", "-C", directory, *variables, OTTLA, "start", *words, check=False, timeout=30)
            self.assertFalse(os.path.exists(os.path.join(directory, "ottla-data")), "it wrote something")
        lines = (done.stdout + done.stderr).decode().splitlines()
        self.assertNotEqual(done.returncode, 0, lines)
        self.assertEqual(len(lines), 1, lines)
        return lines[0]

    def test_invalid_values_are_refused_with_one_line_that_names_source_key_and_value(self):
        self.assertIn("--override: num.partitions=many", self.refused("--override", "num.partitions=many"))
        self.assertIn("num.partitions=0", self.refused("--override", "num.partitions=0"))
        self.assertIn("environment: num.partitions=x", self.refused(variables=["KAFKA_NUM_PARTITIONS=x"]))
        self.assertIn("process.roles", self.refused("--override", "process.roles=broker"))
        self.assertIn("listener", self.refused("--override", "listeners=nonsense"))
        self.assertIn("max.connections.per.ip.overrides",
                      self.refused("--override", "max.connections.per.ip.overrides=a"))
        self.assertIn("--overide", self.refused("--overide", "a=b"))

    def test_files_that_cannot_be_read_or_understood_are_named(self):
        self.assertIn("/no/such/file", self.refused("/no/such/file"))
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("num:\n  partitions: [\n")
            file.flush()
            why = self.refused(file.name)
            self.assertIn(file.name, why)
            self.assertIn("line", why)
        self.assertIn("/proc/nowhere", self.refused("--override", "log.dirs=/proc/nowhere", "--override",
                                                    f"listeners=PLAINTEXT://127.0.0.1:{free_port()}"))

    def test_a_port_or_a_directory_in_use_is_named(self):
        with socket.socket() as other, tempfile.TemporaryDirectory() as directory:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            self.assertIn(f"127.0.0.1:{port}",
                          self.refused("--override", f"listeners=PLAINTEXT://127.0.0.1:{port}",
                                       "--override", f"log.dirs={directory}/data"))
        with Broker() as broker:
            why = self.refused("--override", f"log.dirs={broker.data}",
                               "--override", f"listeners=PLAINTEXT://127.0.0.1:{free_port()}")
            self.assertIn(broker.data, why)
            broker.restart("kill")  # The lock goes with the process.

    def test_the_settings_document_comes_from_the_binary(self):
        self.assertIn(b"num.partitions", run(OTTLA, "config", "document").stdout)
        self.assertNotEqual(run(OTTLA, "config", "nonsense", check=False).returncode, 0)
        self.assertEqual(run(OTTLA, "nonsense", check=False).returncode, 2)


class Restart(unittest.TestCase):
    def seconds_until_served(self, broker):
        """From exec to the first record acknowledged."""
        begun = time.monotonic()
        broker.start()
        wire = Wire(broker.port)
        self.assertEqual(wire.produce("t", batch([b"again"]))[0], 0)
        wire.close()
        return time.monotonic() - begun

    def test_a_restart_after_kill_9_does_not_wait_for_its_own_earlier_registration(self):
        with Broker() as broker:
            cli(broker, "topic", "create", "t", "--partitions", "1")
            best = {}
            for _ in range(ROUNDS):
                for how in ("stop", "kill"):
                    getattr(broker, how)()
                    best[how] = min(best.get(how, 60), self.seconds_until_served(broker))
        # Twice a clean start, and something for a busy machine: far from a session.
        self.assertLess(best["kill"], 2 * best["stop"] + 1, best)
        self.assertLess(best["kill"], SESSION_SECONDS / 3)


if __name__ == "__main__":
    unittest.main()
