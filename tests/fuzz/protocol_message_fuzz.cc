// SPDX-License-Identifier: Apache-2.0
// A body from anybody, for any message: byte 0 chooses request, response or another message, byte 1
// its API key or place, byte 2 the version. What decodes must encode to a size that was announced
// and come back the same. Seeds: `src/protocol/generate.py --seeds DIR` turns the golden lines into
// them.
#include <vector>

#include "ottla/check.h"
#include "protocol/inspect.h"
#include "protocol/message.h"
#include "protocol/metadata_frame.h"
#include "tests/fuzz/fuzzers.h"

namespace ottla {
namespace {

using protocol::MessageKind;
using protocol::MessageRow;

const MessageRow* choose(unsigned kind, unsigned which) {
    if (kind % 3 == 0) {
        return protocol::find_message(MessageKind::request, static_cast<int16_t>(which));
    }
    if (kind % 3 == 1) {
        return protocol::find_message(MessageKind::response, static_cast<int16_t>(which));
    }
    for (const MessageRow& row : protocol::all_messages()) {
        if (row.kind == MessageKind::request || row.kind == MessageKind::response) continue;
        if (which-- == 0) return &row;
    }
    return nullptr;
}

void comes_back(const MessageRow& row, int16_t version, const Buffer& body) {
    const auto message = protocol::AnyMessage::decode(row, version, body);
    if (!message) return;
    const Chain bytes = message->encode(version);
    CHECK(bytes.size() == message->size(version), "the size is what is written");
    const auto again = protocol::AnyMessage::decode(row, version, bytes.flatten());
    CHECK(again.has_value(), "what was encoded decodes");
    CHECK(again->encode(version) == bytes, "and encodes to the same");
    CHECK(again->json(version) == message->json(version), "and prints the same");
}

}  // namespace

void fuzz_protocol_message(std::span<const std::byte> input) {
    (void)protocol::inspect_line(as_text(input), true);
    (void)protocol::decode_metadata_record(Buffer::copy_of(input));
    if (input.size() < 3) return;
    const MessageRow* row =
        choose(std::to_integer<unsigned>(input[0]), std::to_integer<unsigned>(input[1]));
    if (row == nullptr) return;
    const auto version = std::to_integer<int16_t>(input[2]);
    comes_back(*row, version, Buffer::copy_of(input.subspan(3)));
}

}  // namespace ottla
