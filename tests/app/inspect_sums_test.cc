// SPDX-License-Identifier: Apache-2.0
// covers app/inspect/sums
#include <gtest/gtest.h>

#include "app/inspect/file_kind.h"
#include "storage/directory_sums.h"
#include "storage/segment_sums.h"
#include "tests/app/inspect_bench.h"

namespace ottla::app {
namespace {

std::vector<Sample> samples() {
    storage::SegmentSums sums;
    sums.base = Offset{500};
    sums.log_bytes = 300;
    sums.offsets = {16, 5};
    sums.chunks = {{100, 1}, {300, 2}};
    storage::DirectorySums directory;
    directory.stopped = WallTime{1000};
    directory.metadata = {Offset{7}, 1234};
    directory.files["meta.properties"] = {70, 0xAB};
    return {{FileKind::sums, "data/t-0/00000000000000000500.ottla-sums",
             std::string(storage::sums_bytes(sums).text())},
            {FileKind::sums, "data/.ottla-sums", storage::to_text(directory)}};
}

TEST(InspectSums, SaysWhatIsSummed) {
    const auto files = samples();
    for (const Sample& sample : files) EXPECT_EQ(file_kind_of(sample.name), FileKind::sums);
    const Printed segment = print_sample(files[0]);
    ASSERT_EQ(segment.lines.size(), 5U);
    EXPECT_TRUE(segment.intact);
    EXPECT_EQ(field(segment.lines[4], "what"), "\"heads\"");
    EXPECT_EQ(field(segment.lines[4], "position"), "100");
    EXPECT_EQ(field(segment.lines[4], "bytes"), "200");
    const Printed directory = print_sample(files[1]);
    ASSERT_EQ(directory.lines.size(), 2U);
    EXPECT_EQ(field(directory.lines[0], "name"),
              "\"__cluster_metadata-0/00000000000000000007.log\"");
    EXPECT_EQ(field(directory.lines[0], "bytes"), "1234");
    EXPECT_EQ(field(directory.lines[1], "name"), "\"meta.properties\"");
}

TEST(InspectSums, AnyFlippedBitIsDamage) {
    for (const Sample& sample : samples()) {
        for (size_t bit = 0; bit < sample.bytes.size() * 8; ++bit) {
            Sample hurt = sample;
            hurt.bytes[bit / 8] = static_cast<char>(hurt.bytes[bit / 8] ^ (1 << (bit % 8)));
            EXPECT_FALSE(print_sample(hurt).intact) << bit;
        }
    }
}

}  // namespace
}  // namespace ottla::app
