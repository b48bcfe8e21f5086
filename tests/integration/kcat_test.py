# SPDX-License-Identifier: Apache-2.0
"""kcat (librdkafka) against the real binary: every codec, a clean restart, kill -9."""
import os
import unittest

from harness import Broker, run
from segments import batches

RECORDS = 20_000
LINES = "".join(f"key-{i}:value {i} {'x' * (i % 90)}\n" for i in range(RECORDS)).encode()


def write(broker, topic, codec):
    run("kcat", "-P", "-b", broker.address, "-t", topic, "-K:", "-z", codec, "-X", "acks=all", "-X", "linger.ms=50", stdin=LINES)


def read(broker, topic):
    return run("kcat", "-C", "-b", broker.address, "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%k:%s\\n").stdout


class Kcat(unittest.TestCase):
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]

    def assert_all_readable(self, broker, when):
        for codec in self.codecs:
            self.assertTrue(read(broker, f"t-{codec}") == LINES, f"{codec}: other records than written, {when}")

    def test_every_codec_comes_back_equal_after_a_clean_restart_and_after_kill_9(self):
        with Broker() as broker:
            for codec in self.codecs:
                write(broker, f"t-{codec}", codec)
            self.assert_all_readable(broker, "at once")
            broker.restart("kill")
            self.assert_all_readable(broker, "after kill -9")
            broker.restart("stop")
            self.assert_all_readable(broker, "after a clean restart")
            broker.stop()
            for codec in self.codecs:
                stored = batches(os.path.join(broker.data, f"t-{codec}-0"))
                # librdkafka sends a batch of a record or two plain when compressing would not make it smaller.
                self.assertEqual({name for _, _, name, _, count in stored if count > 10}, {codec})
                self.assertEqual(sum(count for *_, count in stored), RECORDS)

    def test_an_idempotent_producer_and_several_partitions(self):
        with Broker("num.partitions=3") as broker:
            run("kcat", "-P", "-b", broker.address, "-t", "idempotent", "-K:", "-X", "enable.idempotence=true", stdin=LINES)
            broker.restart("kill")
            self.assertEqual(sorted(read(broker, "idempotent").splitlines()), sorted(LINES.splitlines()))
            listing = run("kcat", "-L", "-b", broker.address, "-t", "idempotent").stdout.decode()
            self.assertIn('topic "idempotent" with 3 partitions', listing)
            self.assertIn(f"broker 1 at {broker.address}", listing)


if __name__ == "__main__":
    unittest.main()
