// SPDX-License-Identifier: Apache-2.0
#include "storage/crc_walk.h"

#include <gtest/gtest.h>

#include "storage/piece_check.h"
#include "tests/storage/store_bench.h"

namespace ottla::storage::test {
namespace {

constexpr size_t kBatches = 5;

/// Five batches of one record each, one behind the other.
struct Piece {
    Piece() {
        Codecs codecs;
        for (size_t i = 0; i < kBatches; ++i) {
            const Buffer batch = make_batch(codecs, "value " + std::to_string(i));
            const size_t at = bytes.size();
            bytes.insert(bytes.end(), batch.span().begin(), batch.span().end());
            assign_offsets(std::span(bytes).subspan(at), Offset{static_cast<int64_t>(i)},
                           LeaderEpoch{0});
            ends.push_back(bytes.size());
        }
    }
    [[nodiscard]] size_t walked(size_t lead, size_t length) const {
        CrcWalk walk;
        walk.expect(lead, length);
        walk.run(bytes);
        return walk.checked();
    }
    [[nodiscard]] PieceVerdict check(size_t crc_checked) const {
        PieceRules rules;
        rules.limit = Offset{kBatches};
        rules.room = bytes.size();
        rules.crc_checked = crc_checked;
        return check_piece(bytes, rules);
    }
    void flip_value_of(size_t batch) { bytes[ends[batch] - 2] ^= std::byte{1}; }

    std::vector<std::byte> bytes;
    std::vector<size_t> ends;
};

TEST(CrcWalk, VouchesForEveryWholeBatchOfAPiece) {
    const Piece piece;
    EXPECT_EQ(piece.walked(0, piece.bytes.size()), piece.ends.back());
    EXPECT_EQ(piece.walked(0, piece.ends[2] + 10), piece.ends[2]) << "the fourth is cut";
    EXPECT_EQ(piece.walked(0, 3), 0U);
}

TEST(CrcWalk, CountsFromWhereThePieceBeginsNotWhereTheReadDid) {
    const Piece piece;
    EXPECT_EQ(piece.walked(piece.ends[0], piece.bytes.size()), piece.ends.back() - piece.ends[0]);
    EXPECT_EQ(piece.walked(piece.bytes.size() + 100, 100), 0U) << "the file ended before it";
}

TEST(CrcWalk, EndsBeforeAFlippedBit) {
    Piece piece;
    piece.flip_value_of(3);
    EXPECT_EQ(piece.walked(0, piece.bytes.size()), piece.ends[2]);
}

TEST(CrcWalk, IsBelievedOnlyForWhatItWalked) {
    Piece piece;
    piece.flip_value_of(3);
    const PieceVerdict unwalked = piece.check(0);
    EXPECT_EQ(unwalked.sound, piece.ends[2]);
    EXPECT_TRUE(unwalked.damage.has_value());
    const PieceVerdict walked = piece.check(piece.walked(0, piece.bytes.size()));
    EXPECT_EQ(walked.sound, unwalked.sound) << "behind the walk the shard looks itself";
    EXPECT_EQ(walked.damage, unwalked.damage);
}

TEST(CrcWalk, SparesTheShardTheSecondLook) {
    Piece piece;
    const size_t checked = piece.walked(0, piece.bytes.size());
    piece.flip_value_of(1);
    EXPECT_EQ(piece.check(checked).sound, piece.ends.back()) << "no CRC was computed again";
}

}  // namespace
}  // namespace ottla::storage::test
