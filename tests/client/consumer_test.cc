// SPDX-License-Identifier: Apache-2.0
#include "client/consumer.h"

#include "tests/broker/broker_world.h"

namespace ottla::client {
namespace {

using namespace std::chrono_literals;

class ConsumerTest : public test::BrokerWorld {
protected:
    void SetUp() override {
        ASSERT_TRUE(start());
        raw_ = client();
        id_ = create_topic(*raw_, "t", 3);
        client_ =
            std::make_unique<Client>(laptop_.ports(0), std::vector<Endpoint>{{"server", 9092}});
    }
    void TearDown() override {
        run(close());
        stop();
    }
    Task<Status> close() {
        co_await client_->close();
        co_return Status();
    }
    void produce(int32_t partition, std::vector<std::string> values) {
        const auto response =
            ask(*raw_, 13, produce_request(13, "t", id_, partition, batch_of(std::move(values))));
        ASSERT_EQ(response.responses.at(0).partition_responses.at(0).error_code, 0);
    }
    /// Polls until that many came, or nothing more does.
    std::map<int32_t, std::vector<std::string>> consume(Consumer& consumer, size_t count) {
        std::map<int32_t, std::vector<std::string>> values;
        size_t seen = 0;
        for (int empty = 0; seen < count && empty < 5;) {
            const auto records = run(consumer.poll(100ms));
            CHECK(records.has_value(), "a poll returns what there is");
            empty = records->empty() ? empty + 1 : 0;
            for (const ConsumedRecord& record : *records) {
                auto& own = values[record.partition];
                EXPECT_EQ(record.offset, Offset{first_ + static_cast<int64_t>(own.size())});
                own.push_back(record.value.value_or("(none)"));
                ++seen;
            }
        }
        return values;
    }
    Instant soon() { return laptop_.runtime(0).now() + 10s; }

    std::unique_ptr<test::RawClient> raw_;
    Uuid id_;
    std::unique_ptr<Client> client_;
    int64_t first_ = 0;
};

TEST_F(ConsumerTest, ReadsEveryPartitionFromItsBeginningInOrder) {
    produce(0, {"a", "b"});
    produce(0, {"c"});
    produce(2, {"x"});
    Consumer consumer(*client_, "t");
    ASSERT_TRUE(run(consumer.start(StartAt::earliest, soon())));
    const auto values = consume(consumer, 4);
    EXPECT_EQ(values.at(0), (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(values.at(2), std::vector<std::string>{"x"});
    EXPECT_FALSE(values.contains(1));
    EXPECT_EQ(consumer.positions().at(0), Offset{3});
    EXPECT_EQ(consumer.positions().at(1), Offset{0});
}

TEST_F(ConsumerTest, FromTheEndItSeesOnlyWhatComesLater) {
    produce(1, {"old"});
    Consumer consumer(*client_, "t");
    ASSERT_TRUE(run(consumer.start(StartAt::latest, soon())));
    produce(1, {"new"});
    first_ = 1;
    EXPECT_EQ(consume(consumer, 1).at(1), std::vector<std::string>{"new"});
}

TEST_F(ConsumerTest, GoesOnWhereItWasAfterTheBrokerWasKilled) {
    produce(0, {"before"});
    Consumer consumer(*client_, "t");
    ASSERT_TRUE(run(consumer.start(StartAt::earliest, soon())));
    EXPECT_EQ(consume(consumer, 1).at(0), std::vector<std::string>{"before"});
    kill();
    ASSERT_TRUE(start());
    raw_ = client();
    produce(0, {"after"});
    first_ = 1;
    EXPECT_EQ(consume(consumer, 1).at(0), std::vector<std::string>{"after"});
}

TEST_F(ConsumerTest, ATopicThatIsNotThereIsAnError) {
    Consumer consumer(*client_, "nobody");
    EXPECT_FALSE(run(consumer.start(StartAt::earliest, soon())));
}

}  // namespace
}  // namespace ottla::client
