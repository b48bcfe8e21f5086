// SPDX-License-Identifier: Apache-2.0
#include "protocol/frame.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "ottla/check.h"

namespace ottla::protocol {
namespace {

constexpr size_t kWholeBlockUpTo = 1024 * 1024;

int32_t length_of(const std::byte* prefix) { return Reader{std::span(prefix, 4)}.int32(); }

}  // namespace

Status FrameReader::feed(const Buffer& lent, std::vector<Buffer>& frames) {
    if (failed_) return fail(ErrorCode::malformed, "the stream already failed");
    size_t at = 0;
    while (at < lent.size()) {
        const size_t left = lent.size() - at;
        if (block_) {
            make_room();
            const size_t take = std::min(left, std::min(size_, block_->capacity()) - have_);
            std::memcpy(block_->data() + have_, lent.data() + at, take);
            at += take;
            filled(take, frames);
            continue;
        }
        const size_t take = std::min(left, prefix_.size() - prefix_size_);
        std::memcpy(prefix_.data() + prefix_size_, lent.data() + at, take);
        prefix_size_ += take;
        at += take;
        if (prefix_size_ < prefix_.size()) break;
        prefix_size_ = 0;
        TRY_STATUS(begin(length_of(prefix_.data())));
        if (size_ <= lent.size() - at) {
            frames.push_back(lent.slice(at, size_));
            at += size_;
        } else {
            have_ = 0;
            block_ = make_block(std::min(size_, kWholeBlockUpTo));
        }
    }
    return {};
}

Status FrameReader::begin(int32_t size) {
    if (size < 0 || static_cast<size_t>(size) > max_frame_bytes_) {
        failed_ = true;
        return fail(ErrorCode::malformed,
                    fmt::format("a frame of {} bytes, the limit is {}", size, max_frame_bytes_));
    }
    size_ = static_cast<size_t>(size);
    return {};
}

void FrameReader::make_room() {
    const size_t capacity = block_->capacity();
    if (have_ < capacity) return;
    BlockRef larger = make_block(std::min(size_, capacity * 2));
    std::memcpy(larger->data(), block_->data(), have_);
    block_ = std::move(larger);
}

std::span<std::byte> FrameReader::destination() {
    if (!block_) return {};
    make_room();
    return {block_->data() + have_, std::min(size_, block_->capacity()) - have_};
}

void FrameReader::filled(size_t bytes, std::vector<Buffer>& frames) {
    CHECK(block_ && bytes <= std::min(size_, block_->capacity()) - have_,
          "no more was read than was offered");
    have_ += bytes;
    if (have_ == size_) finish(frames);
}

void FrameReader::finish(std::vector<Buffer>& frames) {
    frames.push_back(Buffer(std::move(block_), 0, size_));
    block_ = BlockRef{};
    have_ = 0;
}

Result<RequestHeader> decode_request_header(Reader& in) {
    RequestHeader header;
    header.request_api_key = in.int16();
    header.request_api_version = in.int16();
    header.correlation_id = in.int32();
    in.locate("RequestHeader");
    TRY_STATUS(in.status());
    const ApiRow* api = find_api(header.request_api_key);
    if (api == nullptr) {
        return fail(ErrorCode::unsupported_version,
                    fmt::format("no API has the key {}", header.request_api_key));
    }
    if (const auto id = in.nullable_string(Lengths::classic)) header.client_id.emplace(*id);
    if (request_header_version(*api, header.request_api_version) >= 2) in.skip_tags();
    in.locate("RequestHeader");
    TRY_STATUS(in.status());
    return header;
}

void encode_request_header(Writer& out, const RequestHeader& header) {
    const ApiRow* api = find_api(header.request_api_key);
    CHECK(api != nullptr, "requests are made for APIs that exist");
    encode(out, request_header_version(*api, header.request_api_version), header);
}

Result<int32_t> decode_response_header(Reader& in, ApiKey key, int16_t version) {
    const ApiRow* api = find_api(static_cast<int16_t>(key));
    CHECK(api != nullptr, "responses belong to APIs that exist");
    ResponseHeader header;
    TRY_STATUS(decode(in, response_header_version(*api, version), header));
    return header.correlation_id;
}

void encode_response_header(Writer& out, ApiKey key, int16_t version, int32_t correlation_id) {
    const ApiRow* api = find_api(static_cast<int16_t>(key));
    CHECK(api != nullptr, "responses belong to APIs that exist");
    ResponseHeader header;
    header.correlation_id = correlation_id;
    encode(out, response_header_version(*api, version), header);
}

}  // namespace ottla::protocol
