// SPDX-License-Identifier: Apache-2.0
// Every message there is, for code that does not know which one it holds: `ottla inspect`, fuzzers,
// the round-trip tests. Handlers use the typed structs instead.
// pure
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ottla/buffer.h"
#include "ottla/result.h"
#include "protocol/codec.h"

namespace ottla::protocol {

enum class MessageKind : uint8_t { request, response, record, key, value, message };

struct MessageRow {
    std::string_view name;
    MessageKind kind;
    int16_t key;  // API key or record type; -1 without one
    int16_t min_version;
    int16_t max_version;  // of the codec: unstable versions included
    const Layout& (*layout)();
    void* (*create)();
    void (*destroy)(void* message);
};

template <class M>
constexpr MessageRow message_row(std::string_view name,
                                 MessageKind kind,
                                 int16_t key,
                                 int16_t min_version,
                                 int16_t max_version) {
    return {name,
            kind,
            key,
            min_version,
            max_version,
            &M::layout,
            []() -> void* { return new M; },
            [](void* message) { delete static_cast<M*>(message); }};
}

/// In the order of the schema files.
std::span<const MessageRow> all_messages();
/// The request or response of an API; null for an unknown key.
const MessageRow* find_message(MessageKind kind, int16_t key);
const MessageRow* find_message(std::string_view name);

/// Owns one message of any type.
class AnyMessage {
public:
    explicit AnyMessage(const MessageRow& row);
    static Result<AnyMessage> decode(const MessageRow& row, int16_t version, Buffer body);
    [[nodiscard]] Chain encode(int16_t version) const;
    [[nodiscard]] size_t size(int16_t version) const;
    [[nodiscard]] std::string json(int16_t version) const;
    [[nodiscard]] const Layout& layout() const { return row_->layout(); }
    [[nodiscard]] void* get() { return message_.get(); }

private:
    const MessageRow* row_;
    std::unique_ptr<void, void (*)(void*)> message_;
};

}  // namespace ottla::protocol
