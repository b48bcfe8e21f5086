# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment: under load, in the replay of a start, in a clean stop, in `storage close`. Nothing that was
acknowledged or read is gone or other, nothing of an idempotent writer is there twice, the order is as it was sent."""
import os
import random
import re
import signal
import subprocess
import time
import unittest

import load
from harness import OTTLA, Broker, run

ROUNDS = 20
LONGEST_LOAD_SECONDS = 0.5


class Kill(unittest.TestCase):
    def setUp(self):
        self.chance = random.Random(load.SEED)
        self.broker = Broker("ottla.shards=3")
        self.broker.__enter__()
        self.addCleanup(self.broker.__exit__, None)
        self.load = load.Load(self.broker)
        self.load.topic("idempotent", 3, {"idempotent": True}, {"idempotent": True, "acks": 1})
        self.load.topic("plain", 2, {"depth": 20}, {"acks": 1}, readers=2)
        self.load.topic("large", 1, {"makers": [load.Maker(0, 100, b"x" * 5000)]}, {"idempotent": True})

    def soon(self, longest):
        time.sleep(self.chance.random() * longest)

    def write(self):
        self.load.start()
        self.load.wait_until_written()
        self.soon(LONGEST_LOAD_SECONDS)

    def killed(self):
        self.broker.kill()

    def stopped(self):
        self.broker.stop()

    def killed_in_a_clean_stop(self):
        self.broker.process.send_signal(signal.SIGTERM)
        self.soon(0.06)
        self.broker.kill()

    def killed_in_starts(self):
        self.broker.kill()
        for _ in range(self.chance.randint(1, 4)):
            self.broker.spawn()
            self.soon(0.08)
            self.broker.kill()

    def closed_by_the_tool(self):
        """... whose first attempts are killed too; what it leaves is read from the files themselves."""
        self.broker.kill()
        for _ in range(self.chance.randint(0, 3)):
            closing = subprocess.Popen([OTTLA, "storage", "close", self.broker.data], stdout=subprocess.DEVNULL)
            self.soon(0.06)
            closing.kill()
            closing.wait()
        run(OTTLA, "storage", "close", self.broker.data)
        self.load.join()
        left = [name for name in os.listdir(self.broker.data) if re.match(r"\.ottla(?!-sums|-catalogue-\d+$)", name)]
        self.assertEqual(left, [], "after the close")
        self.assertIn(".kafka_cleanshutdown", os.listdir(self.broker.data))
        self.load.check_files(self.broker.data)

    def test_nothing_is_lost_doubled_or_out_of_order_whenever_it_is_killed(self):
        ways = [self.killed, self.killed_in_a_clean_stop, self.killed_in_starts, self.closed_by_the_tool, self.stopped]
        counts = []
        for number in range(ROUNDS):
            self.write()
            how = ways[number % len(ways)] if number < len(ways) else self.chance.choice(ways)
            how()
            self.load.join()
            self.broker.overrides = ["ottla.shards=3", *load.flushing(self.chance)]
            self.broker.start()
            counts.append((how.__name__, self.load.check()))
        print(f"{counts[-1][1]} batches, seed {load.SEED}")
        self.assertGreater(counts[-1][1], 100 * ROUNDS, counts)


if __name__ == "__main__":
    unittest.main()
