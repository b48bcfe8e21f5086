# SPDX-License-Identifier: Apache-2.0
"""Several log.dirs: a lost one goes offline alone, and a start with another number of shards finds everything again."""
import os
import re
import time
import unittest

from harness import Broker, cli, run
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


if __name__ == "__main__":
    unittest.main()
