// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli), the checksum of record batches, producer snapshots and journal groups.
//
// Extendable: crc32c(crc32c(0, a), b) == crc32c(0, ab), so a checksum over several pieces needs no
// copy. Two implementations, chosen once per process by what the processor has: SSE4.2 with three
// interleaved streams joined by PCLMUL (measured 30 GB/s at 16 KiB), and slicing-by-8 tables
// (2.3 GB/s) everywhere else. Both give the same numbers; tests hold them against each other.
// pure
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ottla {

/// The checksum of what `previous` covered followed by `bytes`; start with 0.
uint32_t crc32c(uint32_t previous, std::span<const std::byte> bytes);

/// The two implementations by name, for tests and benchmarks; everything else calls crc32c().
namespace crc32c_parts {
bool has_hardware();
uint32_t table(uint32_t previous, std::span<const std::byte> bytes);
/// The table's answer again on machines where has_hardware() is false.
uint32_t hardware(uint32_t previous, std::span<const std::byte> bytes);
}  // namespace crc32c_parts

}  // namespace ottla
