# SPDX-License-Identifier: Apache-2.0
"""kill -9 again and again under a writer: every acknowledged record is there afterwards, at its offset, and readable."""
import random
import threading
import time
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
    def wait_for_end(self, broker, topic, end):
        limit = time.monotonic() + 30
        wire = Wire(broker.port)
        while wire.end_offset(topic) < end:
            self.assertLess(time.monotonic(), limit, f"{topic} does not reach {end}")
        wire.close()

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

    def test_what_an_idempotent_producer_sends_again_after_lost_responses_is_stored_once(self):
        out_of_order = 45
        with Broker() as broker:
            cli(broker, "topic", "create", "once", "--partitions", "1")
            wire = Wire(broker.port)
            producer = wire.init_producer()
            wire.close()
            number = 0
            for how, arrive in [("stop", True), ("kill", True), ("kill", False), ("stop", False), ("kill", True)]:
                five = [batch([b"%d" % n], producer=(*producer, n)) for n in range(number, number + 5)]
                lost = Wire(broker.port)
                for each in five:
                    lost.send_produce("once", each)
                if arrive:
                    self.wait_for_end(broker, "once", number + 5)
                lost.close()  # not one response was read
                broker.restart(how)
                again = Wire(broker.port)
                for expected, each in enumerate(five, number):
                    self.assertEqual(again.produce("once", each), (0, expected), f"sent again after {how}")
                gap = batch([b"gap"], producer=(*producer, number + 7))
                self.assertEqual(again.produce("once", gap)[0], out_of_order, f"a gap after {how}")
                again.close()
                number += 5
            found = run("kcat", "-C", "-b", broker.address, "-t", "once", "-o", "beginning", "-e", "-q").stdout
        self.assertEqual(found.split(), [b"%d" % n for n in range(number)])


if __name__ == "__main__":
    unittest.main()
