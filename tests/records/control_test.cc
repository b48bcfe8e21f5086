// SPDX-License-Identifier: Apache-2.0
#include "records/control.h"

#include <gtest/gtest.h>

namespace ottla {
namespace {

TEST(EndTransactionMarker, RoundTrips) {
    for (bool committed : {true, false}) {
        Buffer bytes =
            build_end_transaction_batch({.producer_id = ProducerId{7},
                                         .producer_epoch = ProducerEpoch{1},
                                         .timestamp = WallTime{5}},
                                        {.committed = committed, .coordinator_epoch = 33});
        BatchView batch(bytes.span());
        EXPECT_TRUE(batch.is_control());
        EXPECT_TRUE(batch.is_transactional());
        EXPECT_EQ(batch.base_sequence(), kNoSequence);
        RecordIterator records(batch, batch.payload());
        Record record;
        ASSERT_TRUE(records.next(record));
        Result<ControlRecord> control = parse_control(record);
        ASSERT_TRUE(control);
        EXPECT_EQ(parse_end_transaction(*control),
                  (EndTransaction{.committed = committed, .coordinator_epoch = 33}));
    }
}

TEST(ControlRecord, UnknownTypesAreGivenAndDamagedKeysRefused) {
    Record record;
    EXPECT_FALSE(parse_control(record)) << "no key";
    const std::string_view unknown("\0\0\0\x63", 4);
    record.key = as_bytes(unknown);
    Result<ControlRecord> control = parse_control(record);
    ASSERT_TRUE(control);
    EXPECT_EQ(static_cast<int16_t>(control->type), 0x63);
    EXPECT_FALSE(parse_end_transaction(*control));
    record.key = as_bytes(unknown.substr(0, 3));
    EXPECT_FALSE(parse_control(record)) << "a short key";
    const std::string_view negative("\xff\xff\0\0", 4);
    record.key = as_bytes(negative);
    EXPECT_FALSE(parse_control(record)) << "a negative version";
}

TEST(EndTransactionMarker, RefusesADamagedValue) {
    const std::string_view value("\0\0\0\0\0", 5);
    ControlRecord control{ControlType::commit, as_bytes(value)};
    EXPECT_EQ(parse_end_transaction(control).error().code, ErrorCode::corrupt_message);
}

TEST(ControlBatch, HoldsSeveralRaftRecords) {
    const ControlRecord records[] = {{ControlType::snapshot_header, as_bytes("header")},
                                     {ControlType::kraft_version, as_bytes("version")}};
    Buffer bytes =
        build_control_batch({.timestamp = WallTime{1}, .leader_epoch = LeaderEpoch{2}}, records);
    BatchView batch(bytes.span());
    EXPECT_FALSE(batch.is_transactional());
    EXPECT_FALSE(batch.has_producer());
    EXPECT_EQ(batch.record_count(), 2);
    RecordIterator walk(batch, batch.payload());
    Record record;
    for (const ControlRecord& expected : records) {
        ASSERT_TRUE(walk.next(record));
        Result<ControlRecord> control = parse_control(record);
        ASSERT_TRUE(control);
        EXPECT_EQ(control->type, expected.type);
        EXPECT_EQ(as_text(control->value), as_text(expected.value));
    }
    EXPECT_TRUE(walk.finish());
}

}  // namespace
}  // namespace ottla
