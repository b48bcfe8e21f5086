// SPDX-License-Identifier: Apache-2.0
#include "records/control.h"

#include <fmt/format.h>

#include <array>

#include "ottla/check.h"

namespace ottla {
namespace {

constexpr size_t kKeyBytes = 4;
constexpr size_t kEndTransactionBytes = 6;

std::array<std::byte, kKeyBytes> key_of(ControlType type) {
    std::array<std::byte, kKeyBytes> key{};
    store_be<int16_t>(key.data(), 0);
    store_be(key.data() + 2, static_cast<int16_t>(type));
    return key;
}

/// Control batches are never compressed, so building one cannot fail.
Buffer finished(BatchBuilder& builder) {
    Result<Buffer> batch = builder.finish();
    CHECK(batch.has_value(), "an uncompressed batch always builds");
    return *std::move(batch);
}

}  // namespace

Result<ControlRecord> parse_control(const Record& record) {
    // A newer version of the key may be longer; these four bytes stay.
    if (!record.key || record.key->size() < kKeyBytes) {
        return fail(ErrorCode::corrupt_message, "a control record without its key");
    }
    auto version = load_be<int16_t>(record.key->data());
    if (version < 0) {
        return fail(ErrorCode::corrupt_message,
                    fmt::format("a control record key of version {}", version));
    }
    return ControlRecord{.type = static_cast<ControlType>(load_be<int16_t>(record.key->data() + 2)),
                         .value = record.value.value_or(std::span<const std::byte>{})};
}

Result<EndTransaction> parse_end_transaction(const ControlRecord& record) {
    if (record.type != ControlType::abort && record.type != ControlType::commit) {
        return fail(ErrorCode::corrupt_message, "not the end of a transaction");
    }
    if (record.value.size() < kEndTransactionBytes || load_be<int16_t>(record.value.data()) < 0) {
        return fail(ErrorCode::corrupt_message, "a damaged transaction marker");
    }
    return EndTransaction{.committed = record.type == ControlType::commit,
                          .coordinator_epoch = load_be<int32_t>(record.value.data() + 2)};
}

Buffer build_end_transaction_batch(const MarkerOptions& options, const EndTransaction& end) {
    Codecs unused;
    BatchBuilder builder(unused, {.transactional = true,
                                  .control = true,
                                  .base_offset = options.base_offset,
                                  .leader_epoch = options.leader_epoch,
                                  .producer_id = options.producer_id,
                                  .producer_epoch = options.producer_epoch});
    auto key = key_of(end.committed ? ControlType::commit : ControlType::abort);
    std::array<std::byte, kEndTransactionBytes> value{};
    store_be<int16_t>(value.data(), 0);
    store_be(value.data() + 2, end.coordinator_epoch);
    builder.append(options.timestamp, key, value);
    return finished(builder);
}

Buffer build_control_batch(const ControlBatchOptions& options,
                           std::span<const ControlRecord> records) {
    Codecs unused;
    BatchBuilder builder(unused, {.control = true,
                                  .base_offset = options.base_offset,
                                  .leader_epoch = options.leader_epoch});
    for (const ControlRecord& record : records) {
        builder.append(options.timestamp, key_of(record.type), record.value);
    }
    return finished(builder);
}

}  // namespace ottla
