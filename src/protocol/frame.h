// SPDX-License-Identifier: Apache-2.0
// From a byte stream to requests and back: int32 length, header, body.
//
//   FrameReader    cuts frames out of lent read buffers. A frame that lies wholly in one buffer is
//   a
//                  slice of it; a partial one moves into a block of its own, whose free end is
//                  offered as the destination of the next read. Frames come without their length
//                  prefix.
//   headers        request header 1 or 2, response header 0 or 1, chosen by api_table.h; the client
//   id
//                  keeps its classic length in header 2, and ApiVersions always answers in header
//                  0.
//   *_frame        a whole frame with its prefix, payloads spliced in.
// Invariants: a frame is at most `max_frame_bytes`; beyond 1 MiB memory grows with what has
// arrived, so a claimed length alone costs nothing. After an error the reader stays failed: the
// connection is to be closed without an answer.
// pure
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "protocol/api_table.h"
#include "protocol/codec.h"
#include "protocol/headers.h"

namespace ottla::protocol {

class FrameReader {
public:
    explicit FrameReader(size_t max_frame_bytes) : max_frame_bytes_(max_frame_bytes) {}

    /// Takes the next bytes of the stream and appends every frame that is now complete.
    Status feed(const Buffer& lent, std::vector<Buffer>& frames);
    /// Where a read may put the next bytes directly; empty unless a frame is partly here.
    std::span<std::byte> destination();
    /// `bytes` were read into `destination()`.
    void filled(size_t bytes, std::vector<Buffer>& frames);
    /// The block that `destination()` lies in, for Stream::read_into; null when that is empty.
    [[nodiscard]] const BlockRef& block() const { return block_; }
    /// Bytes held for a frame that is not complete.
    [[nodiscard]] size_t pending() const { return block_ ? have_ : prefix_size_; }

private:
    Status begin(int32_t size);
    void make_room();
    void finish(std::vector<Buffer>& frames);

    size_t max_frame_bytes_;
    bool failed_ = false;
    std::array<std::byte, 4> prefix_{};
    size_t prefix_size_ = 0;
    size_t size_ = 0;  // of the partial frame
    size_t have_ = 0;
    BlockRef block_;
};

/// Works for every version of a known key, so that an unsupported one can be named in the log and
/// ApiVersions can be refused politely; an unknown key is unsupported_version.
Result<RequestHeader> decode_request_header(Reader& in);
void encode_request_header(Writer& out, const RequestHeader& header);
/// The correlation id; header tags are skipped.
Result<int32_t> decode_response_header(Reader& in, ApiKey key, int16_t version);
void encode_response_header(Writer& out, ApiKey key, int16_t version, int32_t correlation_id);

template <ResponseMessage M>
Chain response_frame(int32_t correlation_id, int16_t version, const M& body) {
    Writer out;
    Writer::Hole length = out.hole();
    encode_response_header(out, M::kApiKey, version, correlation_id);
    encode(out, version, body);
    length.fill(static_cast<int32_t>(out.size() - 4));
    return out.finish();
}

template <RequestMessage M>
Chain request_frame(int32_t correlation_id,
                    std::optional<std::string> client_id,
                    int16_t version,
                    const M& body) {
    Writer out;
    Writer::Hole length = out.hole();
    RequestHeader header;
    header.request_api_key = static_cast<int16_t>(M::kApiKey);
    header.request_api_version = version;
    header.correlation_id = correlation_id;
    header.client_id = std::move(client_id);
    encode_request_header(out, header);
    encode(out, version, body);
    length.fill(static_cast<int32_t>(out.size() - 4));
    return out.finish();
}

}  // namespace ottla::protocol
