// SPDX-License-Identifier: Apache-2.0
// The transaction index alone: its bytes, its search, its refusals.
#include "storage/transaction_index.h"

#include <gtest/gtest.h>

#include <cstring>

namespace ottla::storage {
namespace {

AbortedTransaction aborted(int64_t producer, int64_t first, int64_t last, int64_t stable) {
    return {ProducerId{producer}, Offset{first}, Offset{last}, Offset{stable}};
}

/// Producer 1 aborts [0, 10], 2 aborts [5, 20] while 3 is open from 12 on, which aborts at 30.
TransactionIndex example() {
    TransactionIndex index;
    index.append(aborted(1, 0, 10, 5));
    index.append(aborted(2, 5, 20, 12));
    index.append(aborted(3, 12, 30, 31));
    return index;
}

TEST(TransactionIndex, WritesKafkasBytes) {
    TransactionIndex index;
    index.append(aborted(0x0102030405060708, 3, 9, 10));
    const Buffer bytes = index.bytes();
    const uint8_t golden[] = {0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0,
                              3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 10};
    ASSERT_EQ(bytes.size(), sizeof(golden));
    EXPECT_EQ(std::memcmp(bytes.data(), golden, sizeof(golden)), 0);
    EXPECT_TRUE(TransactionIndex{}.bytes().empty());
}

TEST(TransactionIndex, ReadsWhatItWrote) {
    const TransactionIndex index = example();
    TransactionIndex again;
    ASSERT_TRUE(again.load(index.bytes().span(), Offset{0}));
    EXPECT_EQ(again.entries(), index.entries());
}

TEST(TransactionIndex, FindsTransactionsThatOverlapARange) {
    std::vector<AbortedTransaction> found;
    example().collect(Offset{11}, Offset{13}, found);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].producer, ProducerId{2});
    EXPECT_EQ(found[1].producer, ProducerId{3});
    found.clear();
    example().collect(Offset{10}, Offset{11}, found);
    EXPECT_EQ(found.size(), 2U) << "the marker's own offset belongs to the transaction";
    found.clear();
    example().collect(Offset{31}, Offset{40}, found);
    EXPECT_TRUE(found.empty());
}

TEST(TransactionIndex, SearchEndsWhereEverythingBelowWasStable) {
    std::vector<AbortedTransaction> found;
    EXPECT_FALSE(example().collect(Offset{0}, Offset{12}, found));
    EXPECT_EQ(found.size(), 2U);
    found.clear();
    EXPECT_FALSE(example().collect(Offset{0}, Offset{31}, found));
    EXPECT_EQ(found.size(), 3U);
    found.clear();
    EXPECT_TRUE(example().collect(Offset{0}, Offset{32}, found)) << "a later segment may have more";
}

TEST(TransactionIndex, TruncationDropsMarkersAtTheOffsetAndAbove) {
    TransactionIndex index = example();
    index.truncate_to(Offset{20});
    ASSERT_EQ(index.entries().size(), 1U);
    index.truncate_to(Offset{11});
    EXPECT_EQ(index.entries().size(), 1U);
    index.truncate_to(Offset{10});
    EXPECT_TRUE(index.empty());
}

TEST(TransactionIndex, RefusesWhatIsNoIndex) {
    const Buffer good = example().bytes();
    TransactionIndex index;
    EXPECT_EQ(index.load(good.span().first(33), Offset{0}).error().code, ErrorCode::corrupt);
    EXPECT_EQ(index.load(good.span(), Offset{11}).error().code, ErrorCode::corrupt)
        << "a marker below the segment";
    for (const size_t at : {0UZ, 2UZ, 10UZ, 18UZ}) {
        BlockRef block = make_block(good.size());
        std::memcpy(block->data(), good.data(), good.size());
        block->data()[at] = std::byte{0x80};
        const Buffer bad{std::move(block), 0, good.size()};
        EXPECT_EQ(index.load(bad.span(), Offset{0}).error().code, ErrorCode::corrupt) << at;
    }
    EXPECT_TRUE(index.empty());
    ASSERT_TRUE(index.load({}, Offset{0}));
}

}  // namespace
}  // namespace ottla::storage
