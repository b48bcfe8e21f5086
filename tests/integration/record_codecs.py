# SPDX-License-Identifier: Apache-2.0
"""The codecs of record batches as clients use them, through the libraries that the broker itself is linked with."""
import ctypes
import struct
import zlib

NAMES = ["none", "gzip", "snappy", "lz4", "zstd"]


def _bounded(call, bound):
    """Runs call(buffer, capacity), which returns the size that it wrote."""
    buffer = ctypes.create_string_buffer(bound)
    size = call(buffer, bound)
    return buffer.raw[:size]


def gzip(data):
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


def snappy(data):
    """One block in the frame of snappy-java, as Java and librdkafka send it."""
    library = ctypes.CDLL("libsnappy.so.1")
    size = ctypes.c_size_t(32 + len(data) + len(data) // 6)
    buffer = ctypes.create_string_buffer(size.value)
    if library.snappy_compress(data, ctypes.c_size_t(len(data)), buffer, ctypes.byref(size)) != 0:
        raise ValueError("snappy_compress")
    return b"\x82SNAPPY\0" + struct.pack(">iii", 1, 1, size.value) + buffer.raw[: size.value]


def lz4(data):
    """A frame of independent blocks: Kafka's clients refuse dependent ones."""
    library = ctypes.CDLL("liblz4.so.1")
    library.LZ4F_compressFrame.restype = library.LZ4F_compressFrameBound.restype = ctypes.c_size_t
    # block size, independent blocks, no checksum, frame type, content size, dictionary, block checksum; level, ...
    preferences = struct.pack("=iiiiQIi", 4, 1, 0, 0, 0, 0, 0) + struct.pack("=iIIIII", 0, 0, 0, 0, 0, 0)
    bound = library.LZ4F_compressFrameBound(ctypes.c_size_t(len(data)), preferences)
    return _bounded(lambda into, size: library.LZ4F_compressFrame(
        into, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)), preferences), bound)


def zstd(data):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compress.restype = library.ZSTD_compressBound.restype = ctypes.c_size_t
    bound = library.ZSTD_compressBound(ctypes.c_size_t(len(data)))
    return _bounded(lambda into, size: library.ZSTD_compress(
        into, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)), 3), bound)


def compress(codec, data):
    """`codec` is its number in a batch's attributes."""
    return [bytes, gzip, snappy, lz4, zstd][codec](data)
