// SPDX-License-Identifier: Apache-2.0
#include "records/codec.h"

#include <lz4frame.h>
#include <lz4hc.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>

#include "ottla/check.h"
#include "records/snappy_framing.h"

namespace ottla {
namespace {

constexpr size_t kLeastStep = 64UZ * 1024;
constexpr size_t kLargestStep = 1024UZ * 1024;
/// Scratch above this is given back after use: one huge batch must not stay in memory.
constexpr size_t kKeptScratch = 2 * kLargestStep;
/// Likewise a zstd context: levels up to 9 and windows up to 2 MiB, Java's default, stay below it.
constexpr size_t kKeptContext = 4 * kLargestStep;
/// zlib: the largest window, with a gzip header and trailer.
constexpr int kGzipWindow = MAX_WBITS + 16;
/// The level that Kafka documents as lz4's default and that means its fast compressor.
constexpr int kLz4FastLevel = 9;

/// Output of a streaming decoder: hands out room in steps and notices when the bound is passed. One
/// byte beyond the bound may be produced, so that output of exactly `max_bytes` can still end.
class BoundedOutput {
public:
    BoundedOutput(GrowingBuffer& out, size_t max_bytes)
        : out_(out), start_(out.size()), max_bytes_(std::min<size_t>(max_bytes, INT32_MAX)) {}
    std::span<std::byte> room() {
        size_t so_far = out_.size() - start_;
        size_t free = out_.capacity() - out_.size();
        size_t step = free > 0 ? free : std::clamp(so_far, kLeastStep, kLargestStep);
        step = std::min(step, max_bytes_ + 1 - so_far);
        offered_at_ = out_.size();
        return {out_.extend(step), step};
    }
    void produced(size_t bytes) { out_.shrink_to(offered_at_ + bytes); }
    [[nodiscard]] Status within_bound() const {
        if (out_.size() - start_ <= max_bytes_) return {};
        return fail(ErrorCode::message_too_large, "decompressed records exceed their bound");
    }

private:
    GrowingBuffer& out_;
    size_t start_;
    size_t max_bytes_;
    size_t offered_at_ = 0;
};

std::unexpected<Error> damaged(const char* what) { return fail(ErrorCode::corrupt_message, what); }

Bytef* zlib_bytes(const std::byte* at) {
    return reinterpret_cast<Bytef*>(const_cast<std::byte*>(at));  // zlib's type lacks the const
}

uInt zlib_size(size_t size) {
    CHECK(size <= INT32_MAX, "a batch fits 31 bits");
    return static_cast<uInt>(size);
}

LZ4F_preferences_t lz4_preferences(std::optional<int> level) {
    LZ4F_preferences_t how = LZ4F_INIT_PREFERENCES;
    how.frameInfo.blockSizeID = LZ4F_max64KB;
    how.frameInfo.blockMode = LZ4F_blockIndependent;  // Kafka's reader refuses linked blocks
    how.frameInfo.contentChecksumFlag = LZ4F_noContentChecksum;
    how.autoFlush = 1;  // everything is given at once: no copy into the library's own buffer
    int wanted = level.value_or(kLz4FastLevel);
    if (wanted != kLz4FastLevel) {
        // Below LZ4HC_CLEVEL_MIN the library would fall back to the fast compressor by itself.
        how.compressionLevel = std::clamp(wanted, LZ4HC_CLEVEL_MIN, LZ4HC_CLEVEL_MAX);
    }
    return how;
}

/// What Kafka's own reader asks of a frame: the magic, then in the flag byte version 1 (bits 6-7),
/// independent blocks (5) and nothing reserved (0-1: the library reads bit 0 as a dictionary).
bool is_kafka_lz4_frame(std::span<const std::byte> frame) {
    if (!as_text(frame).starts_with("\x04\x22\x4d\x18") || frame.size() < 5) return false;
    return (frame[4] & std::byte{0xe3}) == std::byte{0x60};
}

bool another_gzip_member(std::span<const std::byte> rest) {
    return rest.size() > 2 && rest[0] == std::byte{0x1f} && rest[1] == std::byte{0x8b};
}

}  // namespace

template <>
void Codecs::Free<ZSTD_CCtx_s>::operator()(ZSTD_CCtx_s* context) const noexcept {
    ZSTD_freeCCtx(context);
}
template <>
void Codecs::Free<ZSTD_DCtx_s>::operator()(ZSTD_DCtx_s* context) const noexcept {
    ZSTD_freeDCtx(context);
}
template <>
void Codecs::Free<LZ4F_cctx_s>::operator()(LZ4F_cctx_s* context) const noexcept {
    LZ4F_freeCompressionContext(context);
}
template <>
void Codecs::Free<LZ4F_dctx_s>::operator()(LZ4F_dctx_s* context) const noexcept {
    LZ4F_freeDecompressionContext(context);
}
void Codecs::EndInflate::operator()(z_stream_s* stream) const noexcept {
    inflateEnd(stream);
    delete stream;
}

void Codecs::EndDeflate::operator()(z_stream_s* stream) const noexcept {
    deflateEnd(stream);
    delete stream;
}

Codecs::Codecs() = default;
Codecs::~Codecs() = default;

Status Codecs::compress(const Compression& how,
                        std::span<const std::byte> plain,
                        GrowingBuffer& out) {
    switch (how.codec) {
        case Codec::none: out.append(plain); return {};
        case Codec::gzip: return gzip_compress(how.level, plain, out);
        case Codec::snappy: snappy_compress(plain, out); return {};
        case Codec::lz4: return lz4_compress(how.level, plain, out);
        case Codec::zstd: {
            Status done = zstd_compress(how.level, plain, out);
            if (ZSTD_sizeof_CCtx(zstd_compressor_.get()) > kKeptContext) zstd_compressor_.reset();
            return done;
        }
    }
    return fail(ErrorCode::unsupported_compression_type, "no such codec");
}

Status Codecs::decompress(Codec codec,
                          std::span<const std::byte> packed,
                          size_t max_bytes,
                          GrowingBuffer& out) {
    switch (codec) {
        case Codec::none:
            if (packed.size() > max_bytes) {
                return fail(ErrorCode::message_too_large, "records exceed their bound");
            }
            out.append(packed);
            return {};
        case Codec::gzip: return gzip_decompress(packed, max_bytes, out);
        case Codec::snappy: return snappy_decompress(packed, max_bytes, out);
        case Codec::lz4: return lz4_decompress(packed, max_bytes, out);
        case Codec::zstd: {
            Status done = zstd_decompress(packed, max_bytes, out);
            if (ZSTD_sizeof_DCtx(zstd_decompressor_.get()) > kKeptContext) {
                zstd_decompressor_.reset();
            }
            return done;
        }
    }
    return fail(ErrorCode::unsupported_compression_type, "no such codec");
}

Result<std::span<const std::byte>> Codecs::records_of(const BatchView& batch, size_t max_bytes) {
    if (batch.codec() == Codec::none) return batch.payload();
    if (scratch_.capacity() > kKeptScratch) scratch_.release();
    scratch_.clear();
    TRY_STATUS(decompress(batch.codec(), batch.payload(), max_bytes, scratch_));
    return scratch_.span();
}

Status Codecs::gzip_compress(std::optional<int> level,
                             std::span<const std::byte> plain,
                             GrowingBuffer& out) {
    int strength =
        level ? std::clamp(*level, Z_BEST_SPEED, Z_BEST_COMPRESSION) : Z_DEFAULT_COMPRESSION;
    if (deflater_ && deflater_level_ == strength) {
        deflateReset(deflater_.get());
    } else {
        auto fresh = std::make_unique<z_stream>();
        // 8 is zlib's own default for its memory use.
        int started =
            deflateInit2(fresh.get(), strength, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY);
        if (started != Z_OK) return fail(ErrorCode::unknown_server_error, "zlib did not start");
        deflater_.reset(fresh.release());
        deflater_level_ = strength;
    }
    z_stream& stream = *deflater_;
    uInt size = zlib_size(plain.size());
    size_t at = out.size();
    size_t room = deflateBound(&stream, size);
    stream.next_in = zlib_bytes(plain.data());
    stream.avail_in = size;
    stream.next_out = zlib_bytes(out.extend(room));
    stream.avail_out = zlib_size(room);
    int ended = deflate(&stream, Z_FINISH);
    out.shrink_to(at + room - stream.avail_out);
    if (ended != Z_STREAM_END) return fail(ErrorCode::unknown_server_error, "zlib did not finish");
    return {};
}

Status Codecs::gzip_decompress(std::span<const std::byte> packed,
                               size_t max_bytes,
                               GrowingBuffer& out) {
    if (inflater_) {
        inflateReset(inflater_.get());
    } else {
        auto stream = std::make_unique<z_stream>();
        if (inflateInit2(stream.get(), kGzipWindow) != Z_OK) {
            return fail(ErrorCode::unknown_server_error, "zlib did not start");
        }
        inflater_.reset(stream.release());
    }
    z_stream& stream = *inflater_;
    stream.next_in = zlib_bytes(packed.data());
    stream.avail_in = zlib_size(packed.size());
    BoundedOutput output(out, max_bytes);
    while (true) {
        std::span<std::byte> room = output.room();
        stream.next_out = zlib_bytes(room.data());
        stream.avail_out = zlib_size(room.size());
        int state = inflate(&stream, Z_NO_FLUSH);
        output.produced(room.size() - stream.avail_out);
        TRY_STATUS(output.within_bound());
        if (state == Z_STREAM_END) {
            // Java reads on only if another member follows, and ignores anything else.
            if (!another_gzip_member(packed.last(stream.avail_in))) return {};
            inflateReset(&stream);
        } else if (state != Z_OK || (stream.avail_in == 0 && stream.avail_out > 0)) {
            return damaged("damaged gzip data");
        }
    }
}

Status Codecs::lz4_compress(std::optional<int> level,
                            std::span<const std::byte> plain,
                            GrowingBuffer& out) {
    if (!lz4_compressor_) {
        LZ4F_cctx* context = nullptr;
        if (LZ4F_isError(LZ4F_createCompressionContext(&context, LZ4F_VERSION)) != 0) {
            return fail(ErrorCode::unknown_server_error, "lz4 did not start");
        }
        lz4_compressor_.reset(context);
    }
    LZ4F_preferences_t how = lz4_preferences(level);
    size_t room = LZ4F_compressFrameBound(plain.size(), &how);
    size_t at = out.size();
    std::byte* into = out.extend(room);
    size_t size = LZ4F_compressBegin(lz4_compressor_.get(), into, room, &how);
    const auto append = [&](auto&& step) {
        if (LZ4F_isError(size) != 0) return;
        size_t more = step(into + size, room - size);
        size = LZ4F_isError(more) != 0 ? more : size + more;
    };
    append([&](std::byte* to, size_t left) {
        return LZ4F_compressUpdate(lz4_compressor_.get(), to, left, plain.data(), plain.size(),
                                   nullptr);
    });
    append([&](std::byte* to, size_t left) {
        return LZ4F_compressEnd(lz4_compressor_.get(), to, left, nullptr);
    });
    if (LZ4F_isError(size) != 0) {
        lz4_compressor_.reset();
        out.shrink_to(at);
        return fail(ErrorCode::unknown_server_error, "lz4 did not finish");
    }
    out.shrink_to(at + size);
    return {};
}

Status Codecs::lz4_decompress(std::span<const std::byte> packed,
                              size_t max_bytes,
                              GrowingBuffer& out) {
    if (!lz4_decompressor_) {
        LZ4F_dctx* context = nullptr;
        if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)) != 0) {
            return fail(ErrorCode::unknown_server_error, "lz4 did not start");
        }
        lz4_decompressor_.reset(context);
    }
    if (!is_kafka_lz4_frame(packed)) return damaged("not an lz4 frame of independent blocks");
    LZ4F_resetDecompressionContext(lz4_decompressor_.get());
    BoundedOutput output(out, max_bytes);
    while (true) {
        std::span<std::byte> room = output.room();
        size_t produced = room.size();
        size_t consumed = packed.size();
        size_t expected = LZ4F_decompress(lz4_decompressor_.get(), room.data(), &produced,
                                          packed.data(), &consumed, nullptr);
        if (LZ4F_isError(expected) != 0) {
            output.produced(0);
            return damaged("damaged lz4 data");
        }
        output.produced(produced);
        TRY_STATUS(output.within_bound());
        packed = packed.subspan(consumed);
        if (expected == 0) return {};
        if (packed.empty() && produced < room.size()) return damaged("torn lz4 data");
    }
}

Status Codecs::zstd_compress(std::optional<int> level,
                             std::span<const std::byte> plain,
                             GrowingBuffer& out) {
    if (!zstd_compressor_) zstd_compressor_.reset(ZSTD_createCCtx());
    if (!zstd_compressor_) return fail(ErrorCode::unknown_server_error, "zstd did not start");
    int strength =
        std::clamp(level.value_or(ZSTD_CLEVEL_DEFAULT), ZSTD_minCLevel(), ZSTD_maxCLevel());
    size_t room = ZSTD_compressBound(plain.size());
    size_t at = out.size();
    std::byte* into = out.extend(room);
    size_t size =
        ZSTD_compressCCtx(zstd_compressor_.get(), into, room, plain.data(), plain.size(), strength);
    if (ZSTD_isError(size) != 0) {
        out.shrink_to(at);
        return fail(ErrorCode::unknown_server_error, "zstd did not finish");
    }
    out.shrink_to(at + size);
    return {};
}

Status Codecs::zstd_decompress(std::span<const std::byte> packed,
                               size_t max_bytes,
                               GrowingBuffer& out) {
    if (!zstd_decompressor_) zstd_decompressor_.reset(ZSTD_createDCtx());
    if (!zstd_decompressor_) return fail(ErrorCode::unknown_server_error, "zstd did not start");
    ZSTD_DCtx_reset(zstd_decompressor_.get(), ZSTD_reset_session_only);
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    BoundedOutput output(out, max_bytes);
    while (true) {
        std::span<std::byte> room = output.room();
        ZSTD_outBuffer to{room.data(), room.size(), 0};
        size_t state = ZSTD_decompressStream(zstd_decompressor_.get(), &to, &in);
        output.produced(to.pos);
        if (ZSTD_isError(state) != 0) return damaged("damaged zstd data");
        TRY_STATUS(output.within_bound());
        // 0: a frame is complete and flushed; another may follow.
        if (state == 0 && in.pos == in.size) return {};
        if (state != 0 && in.pos == in.size && to.pos < to.size) return damaged("torn zstd data");
    }
}

}  // namespace ottla
