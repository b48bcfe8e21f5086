# SPDX-License-Identifier: Apache-2.0
"""Several log.dirs: a lost one goes offline alone, and a start with another number of shards finds everything again."""
import os
import re
import tempfile
import time
import unittest

from harness import OTTLA, Broker, cli, free_port, run
from wire import Wire, batch

KAFKA_STORAGE_ERROR = 56
TOPIC, PARTITIONS = "spread", 6


class LogDirs(unittest.TestCase):
    def setUp(self):
        self.acknowledged = {}  # (partition, offset) -> value
        self.number = 0

    def write(self, broker, partition):
        """The error code; 0 is an acknowledgement."""
        self.number += 1
        value = b"%d" % self.number
        wire = Wire(broker.port)
        wire.send_produce(TOPIC, batch([value], timestamp=int(time.time() * 1000)), partition=partition)
        error, base = wire.receive_produce()
        wire.close()
        if error == 0:
            self.acknowledged[partition, base] = value
        return error

    def expect_all(self, broker, partitions):
        for partition in partitions:
            words = ["-C", "-b", broker.address, "-t", TOPIC, "-p", str(partition), "-o", "beginning", "-e", "-q",
                     "-f", "%o %s\\n"]
            stored = dict(line.split(b" ", 1) for line in run("kcat", *words).stdout.splitlines())
            mine = [(offset, value) for (where, offset), value in self.acknowledged.items() if where == partition]
            wanted = {b"%d" % offset: value for offset, value in mine}
            self.assertEqual({offset: stored.get(offset) for offset in wanted}, wanted, f"partition {partition}")

    def partitions_in(self, directory):
        found = (re.fullmatch(rf"{TOPIC}-(\d+)", name) for name in os.listdir(directory))
        return sorted(int(match[1]) for match in found if match)

    def test_a_lost_directory_goes_offline_alone_and_comes_back_with_other_shards(self):
        broker = Broker("ottla.shards=3")
        first, second = broker.data + "-1", broker.data + "-2"
        broker.overrides += [f"log.dirs={first},{second}"]
        with broker:
            cli(broker, "topic", "create", TOPIC, "--partitions", str(PARTITIONS))
            for _ in range(20):
                for partition in range(PARTITIONS):
                    self.assertEqual(self.write(broker, partition), 0)
            broker.restart("kill")
            here, there = self.partitions_in(first), self.partitions_in(second)
            self.assertEqual(sorted(here + there), list(range(PARTITIONS)))
            self.assertTrue(here and there, f"{here} and {there}: the directories are not both used")
            os.rename(second, second + ".gone")
            limit = time.monotonic() + 60
            while (error := self.write(broker, there[0])) == 0:
                self.assertLess(time.monotonic(), limit, "nobody sees that the directory is gone")
                time.sleep(0.05)
            self.assertEqual(error, KAFKA_STORAGE_ERROR)
            for partition in there:
                self.assertEqual(self.write(broker, partition), KAFKA_STORAGE_ERROR)
            for _ in range(20):
                for partition in here:
                    self.assertEqual(self.write(broker, partition), 0)
            self.expect_all(broker, here)
            self.assertIn("is offline", "".join(broker.lines))
            broker.kill()
            os.rename(second + ".gone", second)
            for shards, how in [(1, "kill"), (4, "stop"), (2, "kill")]:
                broker.overrides[0] = f"ottla.shards={shards}"
                broker.start()
                self.expect_all(broker, range(PARTITIONS))
                for partition in range(PARTITIONS):
                    self.assertEqual(self.write(broker, partition), 0)
                getattr(broker, how)()
            broker.start()
            self.expect_all(broker, range(PARTITIONS))


class Paths(unittest.TestCase):
    def refused(self, dirs, *more):
        with tempfile.TemporaryDirectory() as root:
            os.symlink("one", os.path.join(root, "link"))
            words = [f"log.dirs={','.join(os.path.join(root, name) for name in dirs)}",
                     f"listeners=PLAINTEXT://127.0.0.1:{free_port()}", *more]
            done = run(OTTLA, "start", *(word for pair in words for word in ("--override", pair)), check=False,
                       timeout=30)
            made = os.listdir(root)
        self.assertEqual(done.returncode, 1, done.stderr)
        return (done.stdout + done.stderr).decode(), made

    def test_one_directory_named_twice_is_told_from_one_that_another_process_has(self):
        for dirs in (["one", "one"], ["one", "one/"], ["two", "one", "one//"]):
            said, made = self.refused(dirs)
            self.assertIn("twice", said)
            self.assertEqual(made, ["link"], said)
        said, _ = self.refused(["one", "link"])
        self.assertIn("this process itself holds the lock", said)
        with Broker() as broker:
            other = Broker(directory=broker.directory)
            done = run(*other.command(), check=False, timeout=30)
            self.assertIn(b"another process holds the lock", done.stderr)

    def test_one_directory_in_another_is_refused_as_apache_kafka_would_refuse_the_folder(self):
        for dirs in (["one", "one/inner"], ["one/inner/deep", "one"]):
            said, made = self.refused(dirs)
            self.assertIn("lies in log directory", said)
            self.assertEqual(made, ["link"], said)


if __name__ == "__main__":
    unittest.main()
