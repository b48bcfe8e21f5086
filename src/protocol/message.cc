// SPDX-License-Identifier: Apache-2.0
#include "protocol/message.h"

#include <algorithm>

namespace ottla::protocol {

const MessageRow* find_message(MessageKind kind, int16_t key) {
    const auto all = all_messages();
    const auto row = std::ranges::find_if(
        all, [&](const MessageRow& message) { return message.kind == kind && message.key == key; });
    return row == all.end() ? nullptr : &*row;
}

const MessageRow* find_message(std::string_view name) {
    const auto all = all_messages();
    const auto row = std::ranges::find(all, name, &MessageRow::name);
    return row == all.end() ? nullptr : &*row;
}

AnyMessage::AnyMessage(const MessageRow& row) : row_(&row), message_(row.create(), row.destroy) {}

Result<AnyMessage> AnyMessage::decode(const MessageRow& row, int16_t version, Buffer body) {
    AnyMessage message{row};
    Reader in{std::move(body)};
    TRY_STATUS(decode_message(in, version, row.layout(), message.get()));
    TRY_STATUS(in.finished());
    return message;
}

Chain AnyMessage::encode(int16_t version) const {
    Writer out;
    encode_message(out, version, row_->layout(), message_.get());
    return out.finish();
}

size_t AnyMessage::size(int16_t version) const {
    return message_size(version, row_->layout(), message_.get());
}

std::string AnyMessage::json(int16_t version) const {
    return message_json(version, row_->layout(), message_.get());
}

}  // namespace ottla::protocol
