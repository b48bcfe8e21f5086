# SPDX-License-Identifier: Apache-2.0
"""`ottla inspect` on the directory of a real broker, while it runs and after it stopped, against an independent reader."""
import glob
import json
import os
import random
import shutil
import time
import unittest

from harness import OTTLA, Broker, cli, run
from segments import CODECS, batches

TOPIC = "orders"
ROUNDS = 8
LINES = 700
FLUSH_LIMIT_SECONDS = 60


def inspect(*words, code=0):
    """The JSON objects that were printed, and what stderr said."""
    done = run(OTTLA, "inspect", *words, "--output", "json", check=False)
    assert done.returncode == code, f"{words} ended with {done.returncode}: {done.stderr.decode()}"
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def produce_everything(broker):
    """Every codec in turn, through an idempotent producer; gives the values in order."""
    values = []
    chance = random.Random(20261121)
    for number in range(ROUNDS):
        for codec in CODECS:
            lines = [f"{codec}-{number}-{i}-" + chance.randbytes(25).hex() for i in range(LINES)]
            run("kcat", "-P", "-b", broker.address, "-t", TOPIC, "-p", "0", "-z", codec, "-H", "by=kcat",
                "-X", "enable.idempotence=true", "-X", "batch.size=8192", stdin="\n".join(lines).encode() + b"\n")
            values += lines
    return values


def files_of(directory):
    found = sorted(path for path in glob.glob(f"{directory}/**/*", recursive=True, include_hidden=True)
                   if os.path.isfile(path))
    return [path for path in found if os.path.basename(path) != ".lock"]


class Inspect(unittest.TestCase):
    def test_every_file_of_a_running_and_of_a_stopped_broker_is_printed(self):
        with Broker() as broker:
            cli(broker, "topic", "create", TOPIC, "--partitions", "1", "--config", "segment.bytes=1048576")
            values = produce_everything(broker)
            self.log = os.path.join(broker.data, f"{TOPIC}-0")
            self.while_running(broker, values)
            broker.stop()
            self.after_the_stop(broker, values)
            self.damaged(broker)

    def while_running(self, broker, values):
        journals = glob.glob(os.path.join(broker.data, ".ottla-journal-*"))
        entries = [row for path in journals for row in inspect("journal", "--entries", path)[0]]
        appended = [(row["offset"], row["last_offset"]) for row in entries if row["kind"] == "append"]
        self.assertEqual(set(range(len(values))), {at for first, last in appended for at in range(first, last + 1)})
        self.assertIn((TOPIC, 0), {(row["topic"], row["partition"]) for row in entries})
        listed = {row["name"]: row["kind"] for row in inspect(broker.data)[0]}
        self.assertEqual((listed[".ottla"], listed[f"{TOPIC}-0"], listed["meta.properties"]),
                         ("guard", "log", "checkpoint"))
        # The flusher follows the journal; what it has written so far is always whole batches from the beginning.
        deadline = time.monotonic() + FLUSH_LIMIT_SECONDS
        flushed = 0
        while flushed < len(values):
            self.assertLess(time.monotonic(), deadline, f"{flushed} of {len(values)} records were flushed")
            rows = self.segment_rows()
            self.assertEqual([row["base_offset"] for row in rows],
                             [0, *(row["last_offset"] + 1 for row in rows)][:len(rows)])
            flushed = rows[-1]["last_offset"] + 1 if rows else 0
        for path in files_of(broker.data):
            # What is on its way to another name may be half written, or gone before it is looked at.
            if not path.endswith(".tmp"):
                inspect(path)
        self.assertEqual(cli(broker, "topic", "list").returncode, 0)

    def segment_rows(self, *options):
        rows = []
        for path in sorted(glob.glob(os.path.join(self.log, "*.log"))):
            rows += inspect("segment", path, *options)[0]
        return rows

    def after_the_stop(self, broker, values):
        rows = self.segment_rows()
        self.assertEqual([(row["base_offset"], row["last_offset"], row["codec"], row["producer_id"], row["records"])
                          for row in rows], batches(self.log))
        self.assertEqual({row["codec"] for row in rows}, set(CODECS))
        self.assertTrue(all(row["crc_valid"] for row in rows))
        records = self.segment_rows("--records")
        self.assertEqual([row["value"] for row in records], values)
        self.assertEqual([row["offset"] for row in records], list(range(len(values))))
        self.assertTrue(all(row["headers"] == [{"key": "by", "value": "kcat", "value_format": "text"}]
                            for row in records))
        self.indexes_point_at_batches(rows)
        snapshot = inspect(sorted(glob.glob(os.path.join(self.log, "*.snapshot")))[-1])[0]
        self.assertEqual({row["producer_id"] for row in snapshot}, {row["producer_id"] for row in rows})
        self.assertEqual(max(row["last_offset"] for row in snapshot), len(values) - 1)
        points = inspect("checkpoint", os.path.join(broker.data, "recovery-point-offset-checkpoint"))[0]
        self.assertEqual([(row["topic"], row["offset"]) for row in points], [(TOPIC, len(values))])
        metadata = os.path.join(broker.data, "__cluster_metadata-0")
        decided = [row for path in sorted(glob.glob(f"{metadata}/*.log")) for row in inspect(path)[0]]
        self.assertEqual([row["data"]["name"] for row in decided if row["type"] == "TopicRecord"], [TOPIC])
        self.assertEqual([row["offset"] for row in decided], list(range(len(decided))))
        state = inspect(os.path.join(metadata, "quorum-state"))[0]
        self.assertEqual((state[0]["leader_id"], state[0]["data_version"]), (1, 1))
        for path in files_of(broker.data):
            self.assertEqual(inspect(path)[1], "", path)
            table = run(OTTLA, "inspect", path)
            self.assertNotIn(b"\0", table.stdout)

    def indexes_point_at_batches(self, rows):
        at = {(row["file"], row["position"]): row for row in rows}
        indexes = sorted(glob.glob(os.path.join(self.log, "*.index")))
        self.assertGreater(len(indexes), 1)
        entries = 0
        for path in indexes:
            for entry in inspect("index", path)[0]:
                batch = at[(path.removesuffix(".index") + ".log", entry["file_position"])]
                self.assertEqual(batch["last_offset"], entry["offset"])
                entries += 1
        self.assertGreater(entries, 20)
        times = [row for path in sorted(glob.glob(os.path.join(self.log, "*.timeindex"))) for row in inspect(path)[0]]
        largest = {row["last_offset"]: row["max_timestamp"] for row in rows}
        self.assertTrue(times)
        for entry in times:
            self.assertEqual(largest[entry["offset"]], entry["timestamp"])

    def damaged(self, broker):
        path = sorted(glob.glob(os.path.join(self.log, "*.log")))[0]
        whole = inspect(path)[0]
        copy = os.path.join(broker.directory, os.path.basename(path))
        shutil.copy(path, copy)
        bad = whole[len(whole) // 2]
        with open(copy, "r+b") as file:
            file.seek(bad["position"] + 100)
            byte = file.read(1)
            file.seek(bad["position"] + 100)
            file.write(bytes([byte[0] ^ 1]))
        rows, error = inspect(copy, code=1)
        self.assertEqual([row["position"] for row in rows if not row["crc_valid"]], [bad["position"]])
        self.assertEqual(len(rows), len(whole))
        self.assertTrue(error.startswith(f"{copy}: position {bad['position']}: batch CRC is "), error)
        os.truncate(copy, bad["position"] + 17)
        rows, error = inspect(copy, code=1)
        self.assertEqual(len(rows), len(whole) // 2)
        self.assertEqual(error, f"{copy}: position {bad['position']}: 17 bytes, less than the header of a batch\n")
        self.assertEqual(inspect(os.path.join(broker.data, "absent.log"), code=1)[0], [])
        self.assertEqual(inspect(os.path.join(broker.data, ".lock"), code=1)[0], [])
        inspect(code=2)
        inspect("segment", path, "--nonsense", code=2)


if __name__ == "__main__":
    unittest.main()
