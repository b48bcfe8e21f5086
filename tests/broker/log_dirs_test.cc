// SPDX-License-Identifier: Apache-2.0
// Moves between the directories of a whole broker, as a client asks for them and sees them.
// covers broker/log_moves, server/handlers/log_dirs, controller/directories
#include "protocol/alter_replica_log_dirs.h"
#include "protocol/describe_log_dirs.h"
#include "tests/broker/broker_world.h"

namespace ottla {
namespace {

class LogDirsTest : public test::BrokerWorld {
public:
    void SetUp() override {
        ASSERT_TRUE(settings_.set("log.dirs", "/one,/two,/three", Settings::Source::file));
        // The records are of 1970: a simulated half minute after a start all of them would be expired.
        ASSERT_TRUE(settings_.set("log.retention.ms", "-1", Settings::Source::file));
        begin();
        id_ = create_topic(*raw_, "t", 2);
    }
    void begin() {
        ASSERT_TRUE(start());
        raw_ = client();
    }
    int16_t alter(int32_t partition, const std::string& directory) {
        protocol::AlterReplicaLogDirsRequest request;
        request.dirs.push_back({directory, {{"t", {partition}}}});
        return ask(*raw_, 2, request).results.at(0).partitions.at(0).error_code;
    }
    struct Found {
        std::string directory;
        bool is_copy = false;
        int64_t bytes = 0;
        int64_t lag = 0;
    };
    std::vector<Found> where(int32_t partition) {
        std::vector<Found> found;
        const auto response = ask(*raw_, 5, protocol::DescribeLogDirsRequest{});
        for (const auto& directory : response.results) {
            for (const auto& topic : directory.topics) {
                for (const auto& one : topic.partitions) {
                    if (one.partition_index != partition) continue;
                    found.push_back(
                        {directory.log_dir, one.is_future_key, one.partition_size, one.offset_lag});
                }
            }
        }
        return found;
    }
    void write(int32_t partition, const std::string& value) {
        const auto answer =
            ask(*raw_, 12, produce_request(12, "t", id_, partition, batch_of({value})));
        EXPECT_EQ(answer.responses.at(0).partition_responses.at(0).error_code, 0);
    }
    /// One answer need not have everything.
    std::vector<std::string> read(int32_t partition) {
        std::vector<std::string> all;
        for (;;) {
            const auto from = static_cast<int64_t>(all.size());
            const auto answer = ask(*raw_, 12, fetch_request(12, "t", id_, {{partition, from}}));
            const auto& found = answer.responses.at(0).partitions.at(0);
            EXPECT_EQ(found.error_code, 0) << "of a fetch from " << from;
            const auto some = values_of(found.records);
            if (some.empty()) return all;
            all.insert(all.end(), some.begin(), some.end());
        }
    }
    /// Until the partition is in one directory only.
    std::string settle(int32_t partition) {
        for (int i = 0; i < 1000; ++i) {
            const auto found = where(partition);
            if (found.size() == 1) return found[0].directory;
            world_.run_for(std::chrono::milliseconds(5));
        }
        return "both";
    }

protected:
    std::unique_ptr<test::RawClient> raw_;
    Uuid id_;
};

TEST_F(LogDirsTest, AMoveEndsInTheOtherDirectoryWithEveryRecordAndStaysThereAfterAStart) {
    const std::string first = where(0).at(0).directory;
    const std::string second = first == "/one" ? "/two" : "/one";
    for (int i = 0; i < 20; ++i) write(0, fmt::format("value {}", i));
    const auto before = read(0);
    ASSERT_EQ(before.size(), 20U);
    EXPECT_EQ(alter(0, second), 0);
    EXPECT_EQ(settle(0), second);
    EXPECT_EQ(read(0), before);
    write(0, "afterwards");
    world_.run_for(std::chrono::milliseconds(200));
    for (const bool clean : {true, false}) {
        if (clean) stop();
        if (!clean) kill();
        begin();
        EXPECT_EQ(settle(0), second);
        EXPECT_EQ(read(0).size(), 21U);
    }
    EXPECT_EQ(alter(0, first), 0);
    EXPECT_EQ(settle(0), first);
    EXPECT_EQ(read(0).size(), 21U);
}

TEST_F(LogDirsTest, AMoveThatIsCutOffAnywhereGoesOnAfterAStart) {
    // From some 170 on the move has ended, and world_ runs from timer to timer.
    for (int events = 1; events < 400; events += events < 170 ? 2 : 13) {
        const std::string first = settle(0);
        const std::string second = first == "/one" ? "/two" : "/one";
        write(0, fmt::format("before {}", events));
        const auto before = read(0);
        EXPECT_EQ(alter(0, second), 0);
        world_.run_events(static_cast<uint64_t>(events));
        if (events % 4 < 2) kill();
        if (events % 4 >= 2) stop();
        begin();
        EXPECT_EQ(settle(0), second) << events;
        EXPECT_EQ(read(0), before) << events;
        if (HasFailure()) return;
    }
}

TEST_F(LogDirsTest, AMoveToWhereTheLogIsMeansThatItStays) {
    const std::string first = where(1).at(0).directory;
    const std::string second = first == "/one" ? "/two" : "/one";
    write(1, "value");
    EXPECT_EQ(alter(1, second), 0);
    EXPECT_EQ(alter(1, first), 0);
    const std::string now = settle(1);
    EXPECT_TRUE(now == first || now == second);
    EXPECT_EQ(alter(1, now), 0);
    EXPECT_EQ(settle(1), now);
    EXPECT_EQ(read(1), std::vector<std::string>{"value"});
}

TEST_F(LogDirsTest, AnotherRequestEndsAMoveAndTheLogGoesWhereTheLastOneSaid) {
    const std::string first = where(0).at(0).directory;
    const std::string second = first == "/one" ? "/two" : "/one";
    const std::string third = first == "/three" ? "/two" : "/three";
    for (int i = 0; i < 60; ++i) write(0, fmt::format("{} {}", i, std::string(50'000, 'x')));
    const auto before = read(0);
    ASSERT_EQ(before.size(), 60U);
    EXPECT_EQ(alter(0, second), 0);
    auto found = where(0);
    ASSERT_EQ(found.size(), 2U) << "it is on its way";
    EXPECT_EQ(std::ranges::count_if(found, &Found::is_copy), 1);
    EXPECT_EQ(alter(0, first), 0) << "it stays";
    found = where(0);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].directory, first);
    EXPECT_EQ(alter(0, second), 0);
    ASSERT_EQ(where(0).size(), 2U);
    EXPECT_EQ(alter(0, third), 0);
    EXPECT_EQ(settle(0), third);
    EXPECT_EQ(read(0), before);
    kill();
    begin();
    EXPECT_EQ(settle(0), third);
    EXPECT_EQ(read(0), before);
}

TEST_F(LogDirsTest, RefusalsHaveKafkasCodes) {
    EXPECT_EQ(alter(0, "/four"), 57) << "LOG_DIR_NOT_FOUND";
    EXPECT_EQ(alter(7, "/one"), 3) << "UNKNOWN_TOPIC_OR_PARTITION";
    EXPECT_EQ(alter(7, "/four"), 57) << "the directory is looked at first";
}

}  // namespace
}  // namespace ottla
