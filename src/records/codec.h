// SPDX-License-Identifier: Apache-2.0
// The four codecs of record batches, through their libraries, in the framings that Kafka's clients
// write and read:
//
//   gzip    RFC 1952, one member or several
//   snappy  written as snappy-java frames it ("\x82SNAPPY\0", then blocks of 32 KiB); also read raw
//   lz4     the LZ4 frame format, independent blocks of 64 KiB, no content checksum
//   zstd    frames
//
// One `Codecs` per shard: it owns the libraries' contexts and a scratch buffer, so steady use does
// not allocate. Output is bounded by the caller and grows as it is produced, so a bomb costs its
// bound and gives message_too_large; anything else wrong with the bytes gives corrupt_message. pure
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "base/growing_buffer.h"
#include "ottla/result.h"
#include "records/batch.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;
struct LZ4F_cctx_s;
struct LZ4F_dctx_s;
struct z_stream_s;

namespace ottla {

/// How to compress. Levels as Kafka's topic configs: gzip 1-9, lz4 1-17 (9, its default, is the
/// fast compressor), zstd -131072..22; none: the codec's default. Out of range is clamped.
struct Compression {
    Codec codec = Codec::none;
    std::optional<int> level;
    bool operator==(const Compression&) const = default;
};

class Codecs {
public:
    Codecs();
    ~Codecs();
    Codecs(const Codecs&) = delete;
    Codecs& operator=(const Codecs&) = delete;

    /// Appends the compressed form of `plain` to `out` (a copy for Codec::none).
    Status compress(const Compression& how, std::span<const std::byte> plain, GrowingBuffer& out);

    /// Appends what `packed` holds to `out`, at most `max_bytes` of it.
    Status decompress(Codec codec,
                      std::span<const std::byte> packed,
                      size_t max_bytes,
                      GrowingBuffer& out);

    /// The batch's records as plain bytes: its own payload, or scratch memory of this object that
    /// is valid until the next call of records_of.
    Result<std::span<const std::byte>> records_of(const BatchView& batch, size_t max_bytes);

private:
    Status gzip_compress(std::optional<int> level,
                         std::span<const std::byte> plain,
                         GrowingBuffer& out);
    Status lz4_compress(std::optional<int> level,
                        std::span<const std::byte> plain,
                        GrowingBuffer& out);
    Status zstd_compress(std::optional<int> level,
                         std::span<const std::byte> plain,
                         GrowingBuffer& out);
    Status gzip_decompress(std::span<const std::byte> packed, size_t max_bytes, GrowingBuffer& out);
    Status lz4_decompress(std::span<const std::byte> packed, size_t max_bytes, GrowingBuffer& out);
    Status zstd_decompress(std::span<const std::byte> packed, size_t max_bytes, GrowingBuffer& out);

    template <class Context>
    struct Free {
        void operator()(Context* context) const noexcept;
    };
    struct EndInflate {
        void operator()(z_stream_s* stream) const noexcept;
    };
    struct EndDeflate {
        void operator()(z_stream_s* stream) const noexcept;
    };
    template <class Context>
    using Owned = std::unique_ptr<Context, Free<Context>>;

    Owned<ZSTD_CCtx_s> zstd_compressor_;
    Owned<ZSTD_DCtx_s> zstd_decompressor_;
    Owned<LZ4F_cctx_s> lz4_compressor_;
    Owned<LZ4F_dctx_s> lz4_decompressor_;
    std::unique_ptr<z_stream_s, EndInflate> inflater_;
    std::unique_ptr<z_stream_s, EndDeflate> deflater_;
    int deflater_level_ = 0;
    GrowingBuffer scratch_;
};

}  // namespace ottla
