# SPDX-License-Identifier: Apache-2.0
"""Raw bytes that no proper client sends, against the real binary."""
import os
import struct
import time
import unittest

from harness import Broker, run
from wire import Wire, batch


class RawBytes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.broker.start()

    @classmethod
    def tearDownClass(cls):
        cls.broker.__exit__(None)

    def connect(self):
        wire = Wire(self.broker.port)
        self.addCleanup(wire.close)
        return wire

    def still_serves(self):
        wire = self.connect()
        wire.send(18, 0, b"")
        _, body = wire.receive()
        self.assertEqual(struct.unpack_from(">h", body)[0], 0)

    def closes_on(self, raw):
        """... with one line in the log that names the client, and nothing else."""
        before = len(self.broker.lines)
        wire = self.connect()
        wire.socket.sendall(raw)
        self.assertTrue(wire.is_closed_by_peer())
        self.still_serves()
        self.closes_on_second_garbage(before)
        said = self.broker.lines[before:]
        self.assertEqual(len(said), 2, said)
        for line in said:
            self.assertIn("closing the connection of 127.0.0.1:", line)

    def closes_on_second_garbage(self, before):
        """Its line comes behind everything that the first had to say."""
        wire = self.connect()
        wire.socket.sendall(struct.pack(">i", -7))
        self.assertTrue(wire.is_closed_by_peer())
        until = time.monotonic() + 30
        while len(self.broker.lines) < before + 2 and time.monotonic() < until:
            time.sleep(0.01)

    def test_an_unknown_version_of_api_versions_is_answered_in_version_0_with_its_own_range(self):
        wire = self.connect()
        correlation = wire.send(18, 77, b"\0" + b"\xff" * 40)  # header 2 ends with no tags
        answered, body = wire.receive()
        self.assertEqual(answered, correlation)
        error, count, key, low, high = struct.unpack(">hihhh", body[:12])
        self.assertEqual((error, count, key, low), (35, 1, 18, 0))
        self.assertGreaterEqual(high, 4)

    def test_produce_is_advertised_from_0_so_that_old_librdkafka_compresses(self):
        wire = self.connect()
        wire.send(18, 0, b"")
        _, body = wire.receive()
        count = struct.unpack_from(">i", body, 2)[0]
        ranges = {key: (low, high) for key, low, high in struct.iter_unpack(">hhh", body[6 : 6 + count * 6])}
        self.assertEqual(ranges[0][0], 0)
        self.assertNotIn(4, ranges)

    def test_unknown_apis_versions_and_garbage_close_the_connection_and_nothing_else(self):
        header = struct.pack(">hhi", 999, 0, 1) + struct.pack(">h", -1)
        self.closes_on(struct.pack(">i", len(header)) + header)
        header = struct.pack(">hhi", 3, 99, 1) + struct.pack(">h", -1)
        self.closes_on(struct.pack(">i", len(header)) + header)
        self.closes_on(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.closes_on(struct.pack(">i", -5))
        self.closes_on(struct.pack(">i", 2**31 - 1))
        self.closes_on(struct.pack(">i", 64) + os.urandom(64))

    def test_pipelined_requests_are_answered_in_order_and_torn_frames_are_put_together(self):
        wire = self.connect()
        sent = [wire.send(18, 0, b"") for _ in range(200)]
        self.assertEqual([wire.receive()[0] for _ in sent], sent)
        frame = struct.pack(">hhi", 18, 0, 4711) + struct.pack(">h", -1)
        for byte in struct.pack(">i", len(frame)) + frame:
            wire.socket.sendall(bytes([byte]))
        self.assertEqual(wire.receive()[0], 4711)

    def test_acks_0_is_never_answered_and_its_error_closes_the_connection(self):
        run("kcat", "-P", "-b", self.broker.address, "-t", "quiet", stdin=b"first\n")
        wire = self.connect()
        wire.send_produce("quiet", batch([b"second"]), acks=0)
        correlation = wire.send(18, 0, b"")
        self.assertEqual(wire.receive()[0], correlation)
        wire.send_produce("quiet", b"no batch at all", acks=0)
        self.assertTrue(wire.is_closed_by_peer())
        read = run("kcat", "-C", "-b", self.broker.address, "-t", "quiet", "-o", "beginning", "-e", "-q").stdout
        self.assertEqual(read, b"first\nsecond\n")

    def test_damaged_batches_are_refused_by_code_and_lose_nothing(self):
        run("kcat", "-P", "-b", self.broker.address, "-t", "damage", stdin=b"good\n")
        wire = self.connect()
        whole = batch([b"value"])
        flipped = whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:]
        self.assertEqual(wire.produce("damage", flipped)[0], 2)  # CORRUPT_MESSAGE
        old_magic = whole[:16] + b"\1" + whole[17:]
        self.assertIn(wire.produce("damage", old_magic)[0], (87, 43))
        self.assertEqual(wire.produce("damage", whole + whole)[0], 87)  # INVALID_RECORD: one batch only
        self.assertEqual(wire.produce("damage", whole, acks=2)[0], 21)  # INVALID_REQUIRED_ACKS
        self.assertEqual(wire.produce("no-such-topic-here", whole)[0], 3)
        self.assertEqual(wire.produce("damage", whole), (0, 1))


if __name__ == "__main__":
    unittest.main()
