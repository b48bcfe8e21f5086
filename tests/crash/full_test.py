# SPDX-License-Identifier: Apache-2.0
"""A disk that fills up under load: writes are refused before the reserve is gone, everything is read meanwhile, also
after kill -9, topics and records are deleted, and writes go on by themselves when there is space."""
import os
import random
import time
import unittest

import disks
import load
from harness import Broker, cli

SIZE, RESERVE = 128 * disks.MEBIBYTE, 12 * disks.MEBIBYTE
SETTINGS = (f"ottla.disk.reserve.bytes={RESERVE}", "ottla.shards=2")
TOPICS_TO_DELETE, BYTES_TO_DELETE, SEGMENT = 3, 24 * disks.MEBIBYTE, 2 * disks.MEBIBYTE
LIMIT_SECONDS = 30
EARLIEST = -2
LARGE = [load.Maker(0, 40, b"x" * 5000), load.Maker(4, 10)]


class DiskFull(unittest.TestCase):
    def setUp(self):
        self.chance = random.Random(load.SEED)

    def wait_until(self, holds, what):
        limit = time.monotonic() + LIMIT_SECONDS
        while not holds():
            self.assertLess(time.monotonic(), limit, what)
            time.sleep(0.01)

    def fill(self, broker, work):
        """Until every writer is refused; some may be refused earlier than others."""
        before = len(broker.lines)
        work.start()
        self.wait_until(lambda: any("refuses writes" in line for line in broker.lines[before:]), "it never fills up")
        writers = [one for one in work.actors if isinstance(one, load.Writer)]
        def written():
            return [len(one.ledger.acknowledged) for one in writers]
        last = [written(), time.monotonic()]
        def is_quiet():
            if written() != last[0]:
                last[:] = [written(), time.monotonic()]
            return time.monotonic() - last[1] > 0.5
        self.wait_until(is_quiet, "it goes on taking records")
        about = os.statvfs(broker.directory)
        # The journal's own small files and the metadata log live on it.
        self.assertGreater(about.f_bavail * about.f_frsize, RESERVE // 16, "the reserve is gone")

    def test_nothing_is_lost_on_a_full_disk_and_it_writes_again(self):
        with disks.memory(SIZE) as folder:
            broker = Broker(*SETTINGS, directory=folder)
            broker.start()
            self.addCleanup(broker.__exit__, None)
            work = load.Load(broker)
            work.topic("kept", 2, {"idempotent": True, "makers": LARGE}, {"depth": 2, "makers": LARGE})
            for number in range(TOPICS_TO_DELETE):
                self.add(broker, f"gone-{number}")
            for number in range(TOPICS_TO_DELETE):
                self.fill(broker, work)
                if number % 2:
                    work.stop()
                    work.check()
                    work.start()
                    time.sleep(self.chance.random() / 5)
                broker.kill()
                work.join()
                broker.overrides = [*SETTINGS, *load.flushing(self.chance)]
                broker.start()
                work.check()
                self.fill(broker, work)
                last = number + 1 == TOPICS_TO_DELETE
                make_space = self.delete_records if last else self.delete_topic
                self.writes_again(work, lambda: make_space(broker, f"gone-{number}"))
                work.stop()
                work.check()
            broker.kill()
            broker.start()
            self.assertEqual(self.first_offset(broker, f"gone-{TOPICS_TO_DELETE - 1}"), self.deleted_to)
            work.check()
            broker.stop()
            work.check_files(broker.data)
            print(f"seed {load.SEED}")

    def add(self, broker, topic):
        """Something to delete later."""
        wire = load.Wire(broker.port)
        wire.create_topic(topic, 1, {"segment.bytes": str(SEGMENT)})
        batch = LARGE[0].batch(b"gone")
        for _ in range(BYTES_TO_DELETE // len(batch)):
            self.assertEqual(wire.produce(topic, batch)[0], 0)
        wire.close()

    def delete_topic(self, broker, topic):
        cli(broker, "topic", "delete", topic)

    def delete_records(self, broker, topic):
        """All but the last one."""
        wire = load.Wire(broker.port)
        self.deleted_to = wire.end_offset(topic) - 1
        self.assertEqual(wire.delete_records(topic, 0, self.deleted_to), (0, self.deleted_to))
        wire.close()

    def first_offset(self, broker, topic):
        wire = load.Wire(broker.port)
        error, offset = wire.list_offset(topic, 0, EARLIEST)
        wire.close()
        self.assertEqual(error, 0)
        return offset

    def writes_again(self, work, make_space):
        writers = [one for one in work.actors if isinstance(one, load.Writer)]
        for writer in writers:
            writer.enough.clear()
        make_space()
        for writer in writers:
            self.assertTrue(writer.enough.wait(LIMIT_SECONDS), f"{writer.ledger.name} does not write again")


if __name__ == "__main__":
    unittest.main()
