# SPDX-License-Identifier: Apache-2.0
"""What Kafka's DumpLogSegments says about a data directory, and the text files that it does not read."""
import os
import pathlib
import re

from suite import equal, tool

DUMP = "org.apache.kafka.tools.DumpLogSegments"
BATCH = re.compile(r"baseOffset: (\d+) lastOffset: (\d+) count: (\d+) .*? producerId: (-?\d+) .*?"
                   r"isControl: (\w+) .*? position: (\d+) .*? size: (\d+) magic: (\d) compresscodec: (\w+) .*?"
                   r"isvalid: (\w+)")
RECORD = re.compile(r"\| offset: (\d+) ")
BAD = re.compile(r"mismatch|corrupt|exception|error|invalid bytes|could not|isvalid: false|no longer|ignoring", re.I)
METADATA = "__cluster_metadata-0"
DELETED = re.compile(r".+\.[0-9a-f]{32}-delete")
TOPIC_FILES = re.compile(r"\d{20}\.(log|index|timeindex|txnindex|snapshot|ottla-sums)|leader-epoch-checkpoint|"
                         r"partition\.metadata")
METADATA_FILES = re.compile(TOPIC_FILES.pattern + r"|quorum-state|\d{20}-\d{10}\.checkpoint")


def dump(files, *options):
    """The tool's lines for each of `files`; a line that reports damage is a failure."""
    output = tool(DUMP, *options, "--files", ",".join(map(str, files)))
    sections, current = {}, None
    for line in output.splitlines():
        if line.startswith("Dumping "):
            current = sections.setdefault(line[len("Dumping "):], [])
        elif current is not None:
            current.append(line)
        if not line.startswith("|"):
            assert not BAD.search(line), f"DumpLogSegments says: {line}"
    equal(sorted(map(str, files)), sorted(sections), "files dumped")
    return sections


def partitions(data):
    """The folders of topic partitions in a data directory, without what waits to be deleted."""
    return sorted(path for path in pathlib.Path(data).iterdir()
                  if path.is_dir() and path.name != METADATA and not DELETED.fullmatch(path.name))


def files(folders, suffix):
    return sorted(path for folder in folders for path in folder.iterdir() if path.name.endswith(suffix))


class Contents:
    """One partition as the deep iteration over its segments shows it."""

    def __init__(self, sections):
        self.segments, self.records, self.next_offset = len(sections), 0, None
        self.codecs, self.producers, self.batches = set(), set(), 0
        self.values = {}
        for path, lines in sorted(sections.items()):
            self._segment(path, lines)

    def _segment(self, path, lines):
        base = int(os.path.basename(path)[:20])
        assert self.next_offset in (None, base), f"{path} follows offset {self.next_offset}"
        self.next_offset = base
        position = in_batch = 0
        for line in lines:
            batch, record = BATCH.match(line), RECORD.match(line)
            if batch:
                equal(0, in_batch, f"records missing before {line}")
                first, last, in_batch = map(int, batch.group(1, 2, 3))
                equal(self.next_offset, first, f"base offset in {path}")
                equal(position, int(batch[6]), f"position in {path}")
                equal(("2", "true"), batch.group(8, 10), f"magic and validity in {path}")
                equal(last - first + 1, in_batch, f"count in {path}")
                position += int(batch[7])
                self.batches += 1
                self.codecs.add(batch[9])
                if int(batch[4]) >= 0:
                    self.producers.add(int(batch[4]))
            elif record:
                equal(self.next_offset, int(record[1]), f"offset in {path}")
                self.values[self.next_offset] = line.partition(" payload: ")[2]
                self.next_offset += 1
                in_batch -= 1
                self.records += 1
        equal(0, in_batch, f"records missing at the end of {path}")
        equal(os.path.getsize(path), position, f"bytes of {path} in batches")


def contents(data):
    """Partition folder name -> Contents, for all partitions at once: each run of the tool starts a Java machine."""
    folders = partitions(data)
    sections = dump(files(folders, ".log"), "--deep-iteration", "--print-data-log")
    return {folder.name: Contents({path: lines for path, lines in sections.items()
                                   if os.path.dirname(path) == str(folder)}) for folder in folders}


def checkpoint(path):
    """A text checkpoint of Kafka: version, number of lines, the lines split into words."""
    version, count, *lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    equal("0", version, f"version of {path}")
    equal(int(count), len(lines), f"lines of {path}")
    return [line.split(" ") for line in lines]


def partition_offsets(path):
    """A checkpoint of the data directory: partition folder name -> offset."""
    return {f"{topic}-{partition}": int(offset) for topic, partition, offset in checkpoint(path)}


def properties(path):
    """A properties file, such as meta.properties and partition.metadata (which separates with a colon)."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    return dict(re.split(r"=|: ", line, maxsplit=1) for line in lines if line and not line.startswith("#"))
