// SPDX-License-Identifier: Apache-2.0
#include "load/sequences.h"

#include <cstring>

#include "protocol/init_producer_id.h"
#include "records/batch.h"

namespace ottla::bench {

namespace {

constexpr int16_t kInitProducerVersion = 4;

BatchFields fields_of(const BatchView& batch) {
    return {.codec = batch.codec(),
            .last_offset_delta = batch.last_offset_delta(),
            .base_timestamp = batch.base_timestamp(),
            .max_timestamp = batch.max_timestamp(),
            .record_count = batch.record_count()};
}

}  // namespace

Task<Status> Sequences::open(client::Connection& connection, int32_t partitions, Instant deadline) {
    protocol::InitProducerIdRequest request;
    request.transaction_timeout_ms = 60'000;
    CO_TRY(const auto answer, co_await connection.call_version<protocol::InitProducerIdRequest>(
                                  std::move(request), kInitProducerVersion, deadline));
    const auto code = static_cast<ErrorCode>(answer.error_code);
    if (code != ErrorCode::none) co_return fail(code, "no producer id");
    id_ = ProducerId{answer.producer_id};
    epoch_ = ProducerEpoch{answer.producer_epoch};
    next_.assign(static_cast<size_t>(partitions), 0);
    co_return Status{};
}

Buffer Sequences::stamped(const Buffer& batch, int32_t partition) const {
    if (next_.empty()) return batch;
    BlockRef block = make_block(batch.size());
    std::memcpy(block->data(), batch.data(), batch.size());
    BatchFields fields = fields_of(BatchView(batch.span()));
    fields.producer_id = id_;
    fields.producer_epoch = epoch_;
    fields.base_sequence = next_[static_cast<size_t>(partition)];
    write_batch_header({block->data(), batch.size()}, fields);
    return {std::move(block), 0, batch.size()};
}

void Sequences::acknowledged(int32_t partition, int32_t records) {
    if (next_.empty()) return;
    int32_t& next = next_[static_cast<size_t>(partition)];
    next = sequence_after(next, records);
}

}  // namespace ottla::bench
