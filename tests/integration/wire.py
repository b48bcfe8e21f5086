# SPDX-License-Identifier: Apache-2.0
"""Just enough of Kafka's protocol, by hand, to send what no proper client sends and to know which record was acknowledged."""
import socket
import struct

CASTAGNOLI = []
for number in range(256):
    value = number
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    CASTAGNOLI.append(value)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CASTAGNOLI[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def batch(values, timestamp=0, producer=(-1, -1, -1)):
    """One uncompressed batch v2 without keys."""
    records = b""
    for delta, value in enumerate(values):
        body = b"\0" + varint(0) + varint(delta) + varint(-1) + varint(len(value)) + value + varint(0)
        records += varint(len(body)) + body
    rest = struct.pack(">hiqqqhii", 0, len(values) - 1, timestamp, timestamp, *producer, len(values)) + records
    tail = struct.pack(">ibI", -1, 2, crc32c(rest)) + rest
    return struct.pack(">qi", 0, len(tail)) + tail


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


class Wire:
    """One connection; requests with header version 1."""

    def __init__(self, port, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.correlation = 0

    def close(self):
        self.socket.close()

    def send(self, key, version, body):
        self.correlation += 1
        frame = struct.pack(">hhi", key, version, self.correlation) + text("wire") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        return self.correlation

    def take(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise ConnectionError("the broker closed the connection")
            data += part
        return data

    def receive(self):
        """(correlation id, the rest of the frame)."""
        frame = self.take(struct.unpack(">i", self.take(4))[0])
        return struct.unpack(">i", frame[:4])[0], frame[4:]

    def is_closed_by_peer(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def send_produce(self, topic, records, acks=-1, partition=0):
        body = text(None) + struct.pack(">hi", acks, 30000) + struct.pack(">i", 1) + text(topic)
        body += struct.pack(">iii", 1, partition, len(records)) + records
        return self.send(0, 7, body)

    def receive_produce(self):
        """(error code, base offset) of the one partition asked for (Produce v7)."""
        _, body = self.receive()
        size = struct.unpack_from(">h", body, 4)[0]
        _, error, base = struct.unpack_from(">ihq", body, 6 + size + 4)
        return error, base

    def produce(self, topic, records, acks=-1):
        self.send_produce(topic, records, acks)
        return self.receive_produce()

    def init_producer(self):
        """A new idempotent producer: (id, epoch), InitProducerId v0."""
        self.send(22, 0, text(None) + struct.pack(">i", 60000))
        _, body = self.receive()
        _, error, producer, epoch = struct.unpack(">ihqh", body)
        assert error == 0, f"InitProducerId answered {error}"
        return producer, epoch

    def end_offset(self, topic):
        """Where partition 0 ends for a consumer (ListOffsets v1)."""
        self.send(2, 1, struct.pack(">ii", -1, 1) + text(topic) + struct.pack(">iiq", 1, 0, -1))
        _, body = self.receive()
        _, error, _, offset = struct.unpack_from(">ihqq", body, 4 + 2 + len(topic) + 4)
        assert error == 0, f"ListOffsets answered {error}"
        return offset
