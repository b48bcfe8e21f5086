# SPDX-License-Identifier: Apache-2.0
"""kill -9 again and again under a writer: every acknowledged record is there afterwards, at its offset, and readable."""
import random
import threading
import unittest

from harness import Broker, cli, run
from wire import Wire, batch

ROUNDS = 8
TOPIC = "survivors"


class Writer(threading.Thread):
    """Writes numbered batches with up to `depth` in flight until its connection breaks; keeps what was acknowledged."""

    def __init__(self, port, first, depth=5):
        super().__init__(daemon=True)
        self.port, self.number, self.depth = port, first, depth
        self.acknowledged = {}  # offset -> value
        self.enough = threading.Event()
        self.refused = None

    def run(self):
        in_flight = []
        wire = Wire(self.port)
        try:
            while True:
                while len(in_flight) < self.depth:
                    values = [b"%d-%d" % (self.number, i) for i in range(1 + self.number % 7)]
                    wire.send_produce(TOPIC, batch(values))
                    in_flight.append(values)
                    self.number += 1
                error, base = wire.receive_produce()
                if error != 0:
                    self.refused = error
                    return
                for delta, value in enumerate(in_flight.pop(0)):
                    self.acknowledged[base + delta] = value
                if len(self.acknowledged) > 400:
                    self.enough.set()
        except (OSError, ConnectionError):
            pass
        finally:
            wire.close()
            self.enough.set()


class Crash(unittest.TestCase):
    def test_no_acknowledged_record_is_lost_under_repeated_kill_9(self):
        chance = random.Random(20261121)
        acknowledged = {}
        with Broker() as broker:
            cli(broker, "topic", "create", TOPIC, "--partitions", "1", "--config", "segment.bytes=1048576")
            number = 0
            for _ in range(ROUNDS):
                writers = [Writer(broker.port, number + i * 1_000_000) for i in range(1 + chance.randrange(2))]
                for writer in writers:
                    writer.start()
                for writer in writers:
                    self.assertTrue(writer.enough.wait(60))
                broker.kill()
                for writer in writers:
                    writer.join(60)
                    self.assertIsNone(writer.refused)
                    self.assertGreater(len(writer.acknowledged), 0)
                    self.assertFalse(acknowledged.keys() & writer.acknowledged.keys(), "an offset was given out twice")
                    acknowledged.update(writer.acknowledged)
                number += 10_000_000
                broker.start()
            found = run("kcat", "-C", "-b", broker.address, "-t", TOPIC, "-o", "beginning", "-e", "-q", "-f", "%o %s\\n").stdout
        stored = dict(line.split(b" ", 1) for line in found.splitlines())
        self.assertEqual(len(stored), len(found.splitlines()), "an offset was read twice")
        lost = {offset: value for offset, value in acknowledged.items() if stored.get(b"%d" % offset) != value}
        self.assertEqual(lost, {}, f"{len(lost)} of {len(acknowledged)} acknowledged records are gone or others")


if __name__ == "__main__":
    unittest.main()
