# SPDX-License-Identifier: Apache-2.0
"""A real broker on a file system that fills up: it refuses writes, reads, deletes, and writes again by itself."""
import contextlib
import os
import subprocess
import tempfile
import time
import unittest

from harness import Broker, cli, run
from wire import Wire, batch

KAFKA_STORAGE_ERROR = 56
MEBIBYTE = 1 << 20
SIZE = 96 * MEBIBYTE
RESERVE = SIZE // 8  # what a disk of this size keeps unless the setting says otherwise
SETTINGS = ["ottla.shards=2"]


@contextlib.contextmanager
def small_disk():
    """A tmpfs of SIZE bytes. That takes root, which continuous integration has: there it is a failure not to."""
    with tempfile.TemporaryDirectory(prefix="ottla-full-") as directory:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "ottla-test", directory],
                              capture_output=True, text=True)
        if done.returncode != 0:
            why = f"a tmpfs cannot be mounted here: {done.stderr.strip()}"
            raise AssertionError(why) if os.environ.get("CI") else unittest.SkipTest(why)
        try:
            yield directory
        finally:
            subprocess.run(["umount", "-l", directory], check=True)


class DiskFull(unittest.TestCase):
    def setUp(self):
        self.acknowledged = {}  # topic -> values by offset

    def write(self, broker, topic, number, size=100_000):
        """None, or the error that the broker answered."""
        value = b"%d %s" % (number, b"x" * size)
        wire = Wire(broker.port)
        with contextlib.closing(wire):
            error, base = wire.produce(topic, batch([value], timestamp=int(time.time() * 1000)))
        if error == 0:
            self.acknowledged.setdefault(topic, {})[base] = value
        return error or None

    def fill(self, broker, topic):
        for number in range(10_000):
            error = self.write(broker, topic, number)
            if error is not None:
                self.assertEqual(error, KAFKA_STORAGE_ERROR)
                return number
        raise AssertionError("the disk does not fill up")

    def expect_all(self, broker, topic):
        words = ["-C", "-b", broker.address, "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%o %s\\n"]
        found = run("kcat", *words).stdout
        stored = dict(line.split(b" ", 1) for line in found.splitlines())
        wanted = self.acknowledged[topic]
        lost = [offset for offset, value in wanted.items() if stored.get(b"%d" % offset) != value]
        self.assertEqual(lost, [], f"{len(lost)} of {len(wanted)} acknowledged records of {topic} are gone or others")

    def wait_until_it_writes(self, broker, topic):
        limit = time.monotonic() + 30
        while (error := self.write(broker, topic, 1)) is not None:
            self.assertEqual(error, KAFKA_STORAGE_ERROR)
            self.assertLess(time.monotonic(), limit, "there is space, but it does not write again")
            time.sleep(0.1)

    def free(self, directory):
        about = os.statvfs(directory)
        return about.f_bavail * about.f_frsize

    def test_it_refuses_in_time_reads_deletes_and_writes_again_without_a_restart(self):
        with small_disk() as directory, Broker(*SETTINGS, directory=directory) as broker:
            for topic in ("kept", "gone"):
                cli(broker, "topic", "create", topic, "--partitions", "1")
            for number in range(100):
                self.assertIsNone(self.write(broker, "kept", number))
            self.assertGreater(self.fill(broker, "gone"), 100)
            self.assertGreater(self.free(directory), RESERVE // 4)
            self.expect_all(broker, "kept")
            self.expect_all(broker, "gone")
            cli(broker, "topic", "delete", "gone")
            self.wait_until_it_writes(broker, "kept")
            self.assertIn("refuses writes", "".join(broker.lines))
            self.expect_all(broker, "kept")
            self.assertGreater(self.fill(broker, "kept"), 50)
            for how in ("kill", "stop", "kill"):
                broker.restart(how)
                self.expect_all(broker, "kept")
                self.fill(broker, "kept")
                self.assertGreater(self.free(directory), RESERVE // 4, f"after {how}")
            cli(broker, "topic", "delete", "kept")
            cli(broker, "topic", "create", "next", "--partitions", "1")
            self.wait_until_it_writes(broker, "next")

    def test_nothing_acknowledged_is_lost_when_somebody_else_takes_the_whole_disk(self):
        with small_disk() as directory, Broker(*SETTINGS, directory=directory) as broker:
            cli(broker, "topic", "create", "t", "--partitions", "1")
            for number in range(50):
                self.assertIsNone(self.write(broker, "t", number))
            thief = os.path.join(directory, "thief")
            self.take_all(thief)
            time.sleep(3)
            self.assertIsNone(broker.process.poll(), "the broker ended")
            self.expect_all(broker, "t")
            # What the broker saw last is good for a little; that is safe in the journal, and then it looks again.
            self.assertLess(self.fill(broker, "t"), 30)
            self.expect_all(broker, "t")
            os.unlink(thief)
            self.wait_until_it_writes(broker, "t")
            broker.restart("kill")
            self.expect_all(broker, "t")

    def test_a_stop_for_which_there_is_no_space_says_so_and_loses_nothing(self):
        with small_disk() as directory, Broker(*SETTINGS, directory=directory) as broker:
            cli(broker, "topic", "create", "t", "--partitions", "1")
            for number in range(50):
                self.assertIsNone(self.write(broker, "t", number))
            thief = os.path.join(directory, "thief")
            self.take_all(thief)
            with self.assertRaisesRegex(AssertionError, "ended with 1"):
                broker.stop()
            self.assertIn("not a clean stop", "".join(broker.lines))
            self.assertTrue(os.path.isdir(os.path.join(broker.data, ".ottla")), "the guard is gone")
            os.unlink(thief)
            broker.start()
            self.expect_all(broker, "t")
            broker.stop()

    def take_all(self, thief):
        with open(thief, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 65536)


if __name__ == "__main__":
    unittest.main()
