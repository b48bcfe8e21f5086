// SPDX-License-Identifier: Apache-2.0
// A byte stream from anybody: however it is cut into reads, lent or read in place, the same frames
// come out and the same end is reached. The first two bytes choose the cuts. Headers are tried on
// each frame.
#include <algorithm>
#include <vector>

#include "ottla/check.h"
#include "protocol/frame.h"
#include "tests/fuzz/fuzzers.h"

namespace ottla {
namespace {

constexpr size_t kMaxFrame = 1 << 16;

struct Outcome {
    std::vector<Buffer> frames;
    bool failed = false;
    size_t pending = 0;
};

Outcome read_whole(std::span<const std::byte> stream) {
    protocol::FrameReader reader{kMaxFrame};
    Outcome outcome;
    outcome.failed = !reader.feed(Buffer::copy_of(stream), outcome.frames);
    outcome.pending = reader.pending();
    return outcome;
}

Outcome read_in_pieces(std::span<const std::byte> stream, size_t piece, bool in_place) {
    protocol::FrameReader reader{kMaxFrame};
    Outcome outcome;
    while (!stream.empty() && !outcome.failed) {
        size_t size = std::min(piece, stream.size());
        const std::span<std::byte> destination = reader.destination();
        if (in_place && !destination.empty()) {
            size = std::min(size, destination.size());
            std::ranges::copy(stream.first(size), destination.begin());
            reader.filled(size, outcome.frames);
        } else {
            outcome.failed = !reader.feed(Buffer::copy_of(stream.first(size)), outcome.frames);
        }
        stream = stream.subspan(size);
    }
    outcome.pending = reader.pending();
    return outcome;
}

void try_header(const Buffer& frame) {
    protocol::Reader in{frame};
    const auto header = protocol::decode_request_header(in);
    if (!header) return;
    CHECK(protocol::find_api(header->request_api_key) != nullptr, "only known keys have a header");
    protocol::Writer out;
    protocol::encode_request_header(out, *header);
    protocol::Reader again{out.finish().flatten()};
    CHECK(protocol::decode_request_header(again) == header, "a header comes back");
}

}  // namespace

void fuzz_protocol_frame(std::span<const std::byte> input) {
    if (input.size() < 2) return;
    const size_t piece = std::to_integer<size_t>(input[0]) + 1;
    const bool in_place = std::to_integer<int>(input[1]) % 2 == 1;
    const auto stream = input.subspan(2);
    const Outcome whole = read_whole(stream);
    const Outcome pieces = read_in_pieces(stream, piece, in_place);
    CHECK(whole.failed == pieces.failed, "cuts do not decide what is an error");
    CHECK(std::ranges::equal(whole.frames, pieces.frames), "cuts do not decide what is a frame");
    CHECK(whole.failed || whole.pending == pieces.pending, "cuts do not decide what is left");
    for (const Buffer& frame : whole.frames) try_header(frame);
}

}  // namespace ottla
