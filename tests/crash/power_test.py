# SPDX-License-Identifier: Apache-2.0
"""A power cut for the disk alone: its file system is cut off under load and loses all that was not synced. What was
acknowledged is there when it is mounted again. With several log.dirs the others go on serving meanwhile."""
import os
import random
import tempfile
import time
import unittest

import disks
import load
from harness import Broker, cli

ROUNDS = 8
DISK_BYTES = 512 * disks.MEBIBYTE
END_LIMIT_SECONDS = 30
SETTINGS = ("ottla.shards=2", f"ottla.disk.reserve.bytes={16 * disks.MEBIBYTE}")


class PowerCut(unittest.TestCase):
    def setUp(self):
        self.chance = random.Random(load.SEED)

    def test_what_was_acknowledged_survives_power_cuts_under_load(self):
        with disks.disk(DISK_BYTES) as disk:
            broker = Broker(*SETTINGS, directory=disk.folder)
            broker.start()
            self.addCleanup(broker.__exit__, None)
            work = load.Load(broker)
            work.topic("idempotent", 2, {"idempotent": True}, {"idempotent": True, "acks": 1})
            work.topic("plain", 2, {"depth": 20, "makers": load.MAKERS[:3]})
            for _ in range(ROUNDS):
                work.start()
                work.wait_until_written()
                time.sleep(self.chance.random() / 2)
                disk.cut_off()
                self.assertNotEqual(broker.process.wait(END_LIMIT_SECONDS), 0, "it has lost its only directory")
                broker.kill()
                work.join()
                said = "".join(broker.lines)
                self.assertIn(broker.data, said)
                self.assertIn("offline", said)
                disk.unmount()
                disk.mount()
                broker.overrides = [*SETTINGS, *load.flushing(self.chance)]
                broker.start()
                work.check()
            print(f"{work.check()} batches, seed {load.SEED}")
            broker.stop()
            work.check_files(broker.data)


class Several(unittest.TestCase):
    def test_a_directory_whose_disk_fails_goes_offline_alone_and_comes_back_whole(self):
        with disks.disk(DISK_BYTES) as disk, tempfile.TemporaryDirectory(prefix="ottla-several-") as directory:
            sound, failing = os.path.join(directory, "sound"), os.path.join(disk.folder, "data")
            broker = Broker(*SETTINGS, f"log.dirs={sound},{failing}", directory=directory)
            broker.start()
            self.addCleanup(broker.__exit__, None)
            work = load.Load(broker)
            work.topic("spread", 8, {"idempotent": True}, {})
            broker.restart("stop")  # Now each partition has its files.
            for _ in range(3):
                self.fail_under_load(broker, work, disk, failing)
            broker.stop()
            work.check_files(sound, failing)

    def fail_under_load(self, broker, work, disk, failing):
        work.start()
        work.wait_until_written()
        there = {name for name in os.listdir(failing) if name.startswith("spread-")}
        self.assertTrue(0 < len(there) < 8, f"{there} of 8 partitions are in one of two directories")
        before = len(broker.lines)
        disk.cut_off()
        limit = time.monotonic() + END_LIMIT_SECONDS
        while not any("offline" in line and failing in line for line in broker.lines[before:]):
            self.assertLess(time.monotonic(), limit, "no line of its log says that the directory is offline")
            time.sleep(0.01)
        here = [one for one in work.actors if isinstance(one, load.Writer) and one.ledger.name not in there]
        for writer in here:
            writer.enough.clear()
        for writer in here:
            self.assertTrue(writer.enough.wait(END_LIMIT_SECONDS), f"{writer.ledger.name} is not served any more")
        self.answers_storage_error(broker, there)
        work.stop()
        cli(broker, "topic", "list")
        self.assertIsNone(broker.process.poll(), "it ended with one of two directories")
        broker.kill()
        disk.unmount()
        disk.mount()
        broker.start()
        work.check()

    def answers_storage_error(self, broker, there):
        wire = load.Wire(broker.port)
        for name in there:
            partition = int(name.rpartition("-")[2])
            self.assertEqual(wire.produce("spread", load.MAKERS[0].batch(b"refused"), partition=partition)[0],
                             load.KAFKA_STORAGE_ERROR, f"a write to {name}")
            self.assertEqual(wire.fetch("spread", partition, 0)[0], load.KAFKA_STORAGE_ERROR, f"a read of {name}")
        wire.close()


if __name__ == "__main__":
    unittest.main()
