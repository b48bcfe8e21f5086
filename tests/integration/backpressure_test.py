# SPDX-License-Identifier: Apache-2.0
"""Clients that are slow, silent or gone: the broker's memory stays under a bound and everybody else is served."""
import resource
import socket
import struct
import time
import unittest

from harness import Broker, cli
from wire import Wire, batch, text

MIB = 1024 * 1024
CLIENTS = 150
TOPIC = "big"
STORED = 96 * MIB
# What the clients of a test could make us hold without back-pressure is far more than this.
BOUND = 400 * MIB
OVERRIDES = ("ottla.shards=2", "ottla.memory.bytes=268435456", "socket.listen.backlog.size=4000")


def resident(broker):
    with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def fetch_body(offset, limit):
    """Fetch v4 of one partition."""
    body = struct.pack(">iiiib", -1, 0, 1, limit, 0) + struct.pack(">i", 1) + text(TOPIC)
    return body + struct.pack(">iiqi", 1, 0, offset, limit)


def listing_body(topics):
    return struct.pack(">i", len(topics)) + b"".join(text(topic) for topic in topics)


class Slow:
    """A connection with a small window that sends what the broker takes and never reads."""

    def __init__(self, port):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)  # The kernel's memory is no matter here.
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.left = b""
        self.sent = 0

    def queue(self, key, version, body, times=1):
        frame = struct.pack(">hhi", key, version, 7) + text("slow") + body
        self.left += (struct.pack(">i", len(frame)) + frame) * times

    def push(self):
        """True while the broker takes more."""
        try:
            self.sent += self.socket.send(memoryview(self.left)[self.sent : self.sent + MIB])
        except (BlockingIOError, ConnectionError):
            return False
        return self.sent < len(self.left)

    def close(self):
        self.socket.close()


class BackPressure(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))

    def setUp(self):
        self.broker = Broker(*OVERRIDES)
        self.broker.__enter__()
        self.addCleanup(self.broker.__exit__, None)

    def fill(self):
        cli(self.broker, "topic", "create", TOPIC, "--partitions", "1", "--config", "segment.bytes=16777216")
        wire = Wire(self.broker.port)
        whole = batch([b"x" * 1000] * 900)
        for _ in range(STORED // len(whole)):
            self.assertEqual(wire.produce(TOPIC, whole)[0], 0)
        wire.close()

    def watch(self, slow, seconds):
        """Lets them push as far as the broker allows; the largest size of the broker meanwhile."""
        most = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            moved = [one.push() for one in slow]
            most = max(most, resident(self.broker))
            self.assertLess(most, BOUND, f"{most // MIB} MiB")
            if not any(moved):
                self.assert_served()
        return most

    def assert_served(self):
        wire = Wire(self.broker.port)
        self.assertEqual(wire.produce("other", batch([b"served"]))[0], 0)
        wire.close()

    def slow_clients(self, count=CLIENTS):
        slow = [Slow(self.broker.port) for _ in range(count)]
        for one in slow:
            self.addCleanup(one.close)
        cli(self.broker, "topic", "create", "other", "--partitions", "1")
        return slow

    def test_answers_that_nobody_reads(self):
        self.fill()
        slow = self.slow_clients()
        for number, one in enumerate(slow):
            if number % 3 != 2:  # Cold and hot parts of the log, whole and in small slices.
                limit = 50 * MIB if number % 2 else 100_000
                for offset in range(0, 90_000, 900):
                    one.queue(1, 4, fetch_body(offset, limit))
            else:
                one.queue(3, 1, listing_body([TOPIC] * 3000), 200)
                one.queue(0, 7, text(None) + struct.pack(">hii", -1, 30000, 1) + text(TOPIC)
                          + struct.pack(">iii", 1, 0, len(batch([b"y" * 50_000]))) + batch([b"y" * 50_000]), 100)
        self.watch(slow, 6)
        reader = Wire(self.broker.port)
        reader.send(1, 4, fetch_body(0, MIB))
        self.assertGreater(len(reader.receive()[1]), 900_000)
        reader.close()

    def test_frames_of_100_mb_that_arrive_slowly(self):
        slow = self.slow_clients()
        for one in slow:
            one.left = struct.pack(">i", 100 * MIB) + struct.pack(">hhi", 0, 7, 1) + text("slow") + b"\0" * (20 * MIB)
        self.watch(slow, 6)

    def test_thousands_of_idle_connections_cost_little(self):
        count = 3000
        before = resident(self.broker)
        idle = [socket.create_connection(("127.0.0.1", self.broker.port)) for _ in range(count)]
        for one in idle:
            self.addCleanup(one.close)
            one.sendall(struct.pack(">ihhi", 10, 18, 0, 1) + text(None))
        for one in idle:
            self.assertGreater(len(one.recv(4096)), 0)
        for one in idle[::3]:
            one.sendall(struct.pack(">ihh", 1000, 18, 0))  # A torn frame, for good.
        cli(self.broker, "topic", "create", "other", "--partitions", "1")
        self.assert_served()
        self.assertLess((resident(self.broker) - before) / count, 16 * 1024)


class Limits(unittest.TestCase):
    def test_silence_ends_a_connection_and_a_long_poll_is_not_silence(self):
        with Broker("connections.max.idle.ms=700") as broker:
            cli(broker, "topic", "create", TOPIC, "--partitions", "1")
            silent, polling = Wire(broker.port), Wire(broker.port)
            begun = time.monotonic()
            polling.send(1, 4, struct.pack(">iiiib", -1, 2000, 1, MIB, 0) + struct.pack(">i", 1) + text(TOPIC)
                         + struct.pack(">iiqi", 1, 0, 0, MIB))
            self.assertTrue(silent.is_closed_by_peer())
            self.assertGreater(time.monotonic() - begun, 0.5)
            polling.receive()
            self.assertGreater(time.monotonic() - begun, 1.9)
            self.assertTrue(polling.is_closed_by_peer())
            silent.close()
            polling.close()

    def test_beyond_max_connections_nobody_is_served_until_one_leaves(self):
        with Broker("max.connections=3", "ottla.shards=2") as broker:
            inside = [Wire(broker.port) for _ in range(3)]
            for wire in inside:
                wire.send(18, 0, b"")
                wire.receive()
            late = Wire(broker.port, timeout=1)
            late.send(18, 0, b"")
            with self.assertRaises(TimeoutError):
                late.receive()
            inside.pop().close()
            late.socket.settimeout(30)
            self.assertEqual(late.receive()[0], 1)
            for wire in [late, *inside]:
                wire.close()

    def test_max_connections_per_ip_closes_the_surplus_at_once(self):
        with Broker("max.connections.per.ip=50", "max.connections.per.ip.overrides=127.0.0.1:2") as broker:
            inside = [Wire(broker.port) for _ in range(2)]
            for wire in inside:
                wire.send(18, 0, b"")
                wire.receive()
            surplus = Wire(broker.port)
            self.assertTrue(surplus.is_closed_by_peer())
            surplus.close()
            inside.pop().close()
            for _ in range(100):  # The end of the other has to arrive first.
                again = Wire(broker.port)
                try:
                    again.send(18, 0, b"")
                    again.receive()
                    break
                except ConnectionError:
                    again.close()
            else:
                self.fail("no place became free")
            again.close()
            for wire in inside:
                wire.close()
        # Its lines are all here only once it has ended.
        self.assertTrue(any("max.connections.per.ip" in line for line in broker.lines))


if __name__ == "__main__":
    unittest.main()
