# SPDX-License-Identifier: Apache-2.0
"""Reads batch headers out of a stopped broker's segment files, independently of the product's own code."""
import glob
import os
import struct

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
HEADER = struct.Struct(">qiibIhiqqqhii")  # base offset .. record count, 61 bytes


def batches(log_directory):
    """(base offset, last offset, codec name, producer id, record count) of every batch, in order."""
    found = []
    for path in sorted(glob.glob(os.path.join(log_directory, "*.log"))):
        with open(path, "rb") as file:
            data = file.read()
        at = 0
        while at + HEADER.size <= len(data):
            (base, length, _, magic, _, attributes, last_delta, _, _, producer, _, _, count) = HEADER.unpack_from(data, at)
            assert magic == 2 and length >= HEADER.size - 12, f"no batch at {at} of {path}"
            found.append((base, base + last_delta, CODECS[attributes & 7], producer, count))
            at += 12 + length
        assert at == len(data), f"{path} ends inside a batch"
    return found
