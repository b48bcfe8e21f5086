// SPDX-License-Identifier: Apache-2.0
// Snappy as Kafka carries it. snappy-java frames it:
//
//   82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version i32 = 1 | oldest reader i32 = 1 | { size i32, raw block
//   }*
//
// and reads an input without that magic as one raw block, which is what librdkafka and others send.
// Frames may follow one another. Written: framed, blocks of 32 KiB of plain bytes, as Java does.
// pure
#pragma once

#include <span>

#include "base/growing_buffer.h"
#include "ottla/result.h"

namespace ottla {

void snappy_compress(std::span<const std::byte> plain, GrowingBuffer& out);
Status snappy_decompress(std::span<const std::byte> packed, size_t max_bytes, GrowingBuffer& out);

}  // namespace ottla
