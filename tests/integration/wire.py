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


def record(delta, value, key=None, headers=()):
    body = b"\0" + varint(0) + varint(delta)
    for part in (key, value):
        body += varint(-1) if part is None else varint(len(part)) + part
    body += varint(len(headers)) + b"".join(varint(len(part)) + part for header in headers for part in header)
    return varint(len(body)) + body


def seal(count, payload, timestamp=0, producer=(-1, -1, -1), codec=0, checksum=crc32c):
    """A batch v2 around records that are encoded (and compressed by `codec`) already."""
    rest = struct.pack(">hiqqqhii", codec, count - 1, timestamp, timestamp, *producer, count) + payload
    tail = struct.pack(">ibI", -1, 2, checksum(rest)) + rest
    return struct.pack(">qi", 0, len(tail)) + tail


def batch(values, timestamp=0, producer=(-1, -1, -1)):
    """One uncompressed batch v2 without keys."""
    records = b"".join(record(delta, value) for delta, value in enumerate(values))
    return seal(len(values), records, timestamp, producer)


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

    def produce(self, topic, records, acks=-1, partition=0):
        self.send_produce(topic, records, acks, partition)
        return self.receive_produce()

    def fetch(self, topic, partition, offset, wait=0, limit=1 << 20):
        """(error code, high watermark, bytes of whole batches and perhaps a part of one)."""
        error, high, _, _, _, data = self.fetch_all(topic, partition, offset, wait, limit)
        return error, high, data

    def fetch_all(self, topic, partition, offset, wait=0, limit=1 << 20, committed=0):
        """(error code, high watermark, last stable offset, log start, aborted transactions, bytes).
        Fetch v6: older ones do not know KAFKA_STORAGE_ERROR."""
        body = struct.pack(">iiiib", -1, wait, 1, limit, committed) + struct.pack(">i", 1) + text(topic)
        self.send(1, 6, body + struct.pack(">iiqqi", 1, partition, offset, -1, limit))
        _, body = self.receive()
        at = 4 + 4 + 2 + len(topic) + 4
        _, error, high, stable, start, count = struct.unpack_from(">ihqqqi", body, at)
        at += 34
        aborted = [struct.unpack_from(">qq", body, at + 16 * number) for number in range(count)]
        at += 16 * max(count, 0)
        size = struct.unpack_from(">i", body, at)[0]
        return error, high, stable, start, aborted, body[at + 4 : at + 4 + max(size, 0)]

    def init_producer(self):
        """A new idempotent producer: (id, epoch), InitProducerId v0."""
        self.send(22, 0, text(None) + struct.pack(">i", 60000))
        _, body = self.receive()
        _, error, producer, epoch = struct.unpack(">ihqh", body)
        assert error == 0, f"InitProducerId answered {error}"
        return producer, epoch

    def list_offset(self, topic, partition, timestamp):
        """(error code, offset); -1 asks for the end that a consumer sees, -2 for the start (ListOffsets v1)."""
        self.send(2, 1, struct.pack(">ii", -1, 1) + text(topic) + struct.pack(">iiq", 1, partition, timestamp))
        _, body = self.receive()
        _, error, _, offset = struct.unpack_from(">ihqq", body, 4 + 2 + len(topic) + 4)
        return error, offset

    def end_offset(self, topic, partition=0):
        error, offset = self.list_offset(topic, partition, -1)
        assert error == 0, f"ListOffsets answered {error}"
        return offset

    def create_topic(self, topic, partitions, configs=()):
        """CreateTopics v2, one replica."""
        body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihii", partitions, 1, 0, len(configs))
        body += b"".join(text(name) + text(value) for name, value in dict(configs).items())
        self.send(19, 2, body + struct.pack(">ib", 30000, 0))
        _, body = self.receive()
        error = struct.unpack_from(">h", body, 4 + 4 + 2 + len(topic))[0]
        assert error == 0, f"CreateTopics of {topic} answered {error}"

    def delete_topic(self, topic):
        """DeleteTopics v1."""
        self.send(20, 1, struct.pack(">i", 1) + text(topic) + struct.pack(">i", 30000))
        _, body = self.receive()
        error = struct.unpack_from(">h", body, 4 + 4 + 2 + len(topic))[0]
        assert error == 0, f"DeleteTopics of {topic} answered {error}"

    def delete_records(self, topic, partition, offset):
        """(error code, where the log starts now) (DeleteRecords v0)."""
        self.send(21, 0, struct.pack(">i", 1) + text(topic) + struct.pack(">iiqi", 1, partition, offset, 30000))
        _, body = self.receive()
        _, low, error = struct.unpack_from(">iqh", body, 4 + 4 + 2 + len(topic) + 4)
        return error, low
