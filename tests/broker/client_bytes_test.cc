// SPDX-License-Identifier: Apache-2.0
#include "broker/client_bytes.h"

#include <gtest/gtest.h>

#include "tests/base/manual_runtime.h"

namespace ottla::broker {
namespace {

using namespace std::chrono_literals;
using Side = ClientBytes::Side;

constexpr size_t kMiB = 1024UZ * 1024;

class Client final : public ClientBytes::Owner {
public:
    Client(ClientBytes& all, Side side) : holder(all, *this, side), all_(all) {}
    void evict(const std::string& why) override {
        evicted = why;
        gone = true;
        all_.stir();
    }
    ClientBytes::Holder holder;
    std::string evicted;
    bool gone = false;
    bool went_on = false;
    size_t reserved = 0;

private:
    ClientBytes& all_;
};

class ClientBytesTest : public testing::Test {
protected:
    ~ClientBytesTest() override { runtime_.destroy_roots(); }

    static Task<> grow(ClientBytes& all, Client& client) {
        co_await all.wait_to_grow(client.holder, &client.gone);
        client.went_on = !client.gone;
    }
    static Task<> read(ClientBytes& all, Client& client, size_t wanted, Event& done) {
        auto reserving = all.reserve(wanted, &client.gone);
        const auto reservation = co_await std::move(reserving);
        client.reserved = reservation.bytes();
        co_await done.wait();
    }
    void ask_to_grow(Client& client) {
        client.went_on = false;
        runtime_.spawn(grow(all_, client));
        runtime_.run();
    }

    test::ManualRuntime runtime_;
    ClientBytes all_{runtime_, 8 * kMiB, 30s};
};

TEST_F(ClientBytesTest, AClaimCostsNothingAndBytesCountOnce) {
    Client one(all_, Side::frames);
    ask_to_grow(one);
    EXPECT_TRUE(one.went_on);
    EXPECT_EQ(all_.held(), 0U);
    one.holder.hold(3 * kMiB);
    one.holder.hold(5 * kMiB);
    EXPECT_EQ(all_.held(), 5 * kMiB);
    one.holder.hold(0);
    EXPECT_EQ(all_.held(), 0U);
}

TEST_F(ClientBytesTest, WithoutRoomOnlyTheFirstFrameGrowsAndTheOthersFollowInOrder) {
    Client first(all_, Side::frames);
    Client second(all_, Side::frames);
    Client third(all_, Side::frames);
    for (Client* each : {&first, &second, &third}) ask_to_grow(*each);
    for (Client* each : {&first, &second, &third}) each->holder.hold(3 * kMiB);
    ask_to_grow(second);
    ask_to_grow(third);
    ask_to_grow(first);
    EXPECT_TRUE(first.went_on);
    EXPECT_FALSE(second.went_on);
    EXPECT_FALSE(third.went_on);
    first.holder.hold(20 * kMiB);  // It may finish, whatever its size.
    ask_to_grow(first);
    EXPECT_TRUE(first.went_on);
    first.holder.wait_for_client(false);  // Complete, and being served: still there.
    runtime_.run();
    EXPECT_TRUE(second.went_on);
    EXPECT_FALSE(third.went_on);
    first.holder.hold(0);
    second.holder.hold(0);
    runtime_.run();
    EXPECT_TRUE(third.went_on);
}

TEST_F(ClientBytesTest, OfACrowdThatBroughtTooMuchAlongTheLastOnesGo) {
    Client first(all_, Side::frames);
    ask_to_grow(first);
    first.holder.hold(50 * kMiB);  // One large frame is no crowd.
    std::vector<std::unique_ptr<Client>> crowd;
    for (int i = 0; i < 20; ++i) {
        crowd.push_back(std::make_unique<Client>(all_, Side::frames));
        crowd.back()->holder.hold(kMiB);
        ask_to_grow(*crowd.back());
        EXPECT_EQ(crowd.back()->gone, i >= 16) << i;
        EXPECT_FALSE(crowd.back()->went_on);
        if (crowd.back()->gone) crowd.back()->holder.hold(0);
    }
    EXPECT_NE(crowd.back()->evicted.find("memory is short, and 16 incomplete requests"),
              std::string::npos)
        << crowd.back()->evicted;
    first.holder.wait_for_client(false);
    first.holder.hold(0);
    runtime_.run();
    for (size_t i = 0; i < 16; ++i) {
        EXPECT_TRUE(crowd[i]->went_on) << i;
        crowd[i]->holder.wait_for_client(false);
        crowd[i]->holder.hold(0);
        runtime_.run();
    }
}

TEST_F(ClientBytesTest, AClientThatStallsIsLeftInPeaceUntilSomebodyWaits) {
    Client stalled(all_, Side::answers);
    stalled.holder.hold(9 * kMiB);
    stalled.holder.wait_for_client(true);
    runtime_.advance(1h);
    EXPECT_EQ(stalled.evicted, "");
    Client sender(all_, Side::frames);
    Client waiting(all_, Side::frames);
    ask_to_grow(sender);
    EXPECT_TRUE(sender.went_on);  // One at a time goes on even so.
    ask_to_grow(waiting);
    EXPECT_FALSE(waiting.went_on);
    EXPECT_EQ(stalled.evicted,
              "memory is short and 9437184 bytes of its answers are not read for 3600 s");
    stalled.holder.hold(0);
    runtime_.run();
    EXPECT_TRUE(waiting.went_on);
}

TEST_F(ClientBytesTest, WhoMovesIsNotEvictedAndWhoWaitsForUsNeither) {
    Client moving(all_, Side::answers);
    Client ours(all_, Side::answers);
    moving.holder.hold(9 * kMiB);
    moving.holder.wait_for_client(true);
    ours.holder.hold(1);
    Client sender(all_, Side::frames);
    Client waiting(all_, Side::frames);
    ask_to_grow(sender);
    ask_to_grow(waiting);
    for (int i = 0; i < 5; ++i) {
        runtime_.advance(20s);
        moving.holder.progressed();
        ask_to_grow(sender);
    }
    EXPECT_EQ(moving.evicted, "");
    EXPECT_EQ(ours.evicted, "");
    EXPECT_NE(sender.evicted, "");  // A frame that takes longer than that, however it trickles.
    EXPECT_TRUE(waiting.went_on);
    Client next(all_, Side::frames);
    Client last(all_, Side::frames);
    ask_to_grow(next);
    ask_to_grow(last);  // Somebody has to wait, or nobody is evicted.
    runtime_.advance(31s);
    EXPECT_NE(moving.evicted, "");
    EXPECT_EQ(ours.evicted, "");
}

TEST_F(ClientBytesTest, ReservationsShrinkWithWhatIsFreeAndOneIsGrantedWhenNobodyWillGiveBack) {
    Event done(runtime_);
    Client readers[] = {{all_, Side::answers}, {all_, Side::answers}, {all_, Side::answers}};
    for (Client& each : readers) runtime_.spawn(read(all_, each, 50 * kMiB, done));
    runtime_.run();
    EXPECT_EQ(readers[0].reserved, 2 * kMiB);
    EXPECT_EQ(readers[1].reserved, 3 * kMiB / 2);
    EXPECT_EQ(readers[2].reserved, 9 * kMiB / 8);
    done.notify_all();
    runtime_.run();
    EXPECT_EQ(all_.held(), 0U);
    Client stalled(all_, Side::answers);
    stalled.holder.hold(8 * kMiB);
    Client small(all_, Side::answers);
    Client late(all_, Side::answers);
    runtime_.spawn(read(all_, small, 100, done));
    runtime_.spawn(read(all_, late, 100, done));
    runtime_.run();
    EXPECT_EQ(small.reserved, 100U);
    EXPECT_EQ(late.reserved, 0U);
    done.notify_all();
    runtime_.run();
    EXPECT_EQ(late.reserved, 100U);
    done.notify_all();
    runtime_.run();
}

TEST_F(ClientBytesTest, StalledReadersDoNotAddUp) {
    Event done(runtime_);
    Client stalled(all_, Side::answers);
    stalled.holder.hold(8 * kMiB);
    stalled.holder.wait_for_client(true);
    Client reader(all_, Side::answers);
    runtime_.spawn(read(all_, reader, kMiB, done));
    runtime_.advance(29s);
    EXPECT_EQ(reader.reserved, 0U);
    EXPECT_EQ(stalled.evicted, "");
    runtime_.advance(2s);
    EXPECT_NE(stalled.evicted, "");
    stalled.holder.hold(0);
    runtime_.run();
    EXPECT_EQ(reader.reserved, kMiB);
    done.notify_all();
    runtime_.run();
}

TEST_F(ClientBytesTest, WhoGivesUpWhileWaitingReturns) {
    Client stalled(all_, Side::answers);
    stalled.holder.hold(9 * kMiB);
    Client sender(all_, Side::frames);
    Client leaving(all_, Side::frames);
    ask_to_grow(sender);
    bool returned = false;
    const auto wait = [](ClientBytes& all, Client& client, bool& over) -> Task<> {
        co_await all.wait_to_grow(client.holder, &client.gone);
        over = true;
    };
    runtime_.spawn(wait(all_, leaving, returned));
    runtime_.run();
    EXPECT_FALSE(returned);
    leaving.gone = true;
    all_.stir();
    runtime_.run();
    EXPECT_TRUE(returned);
}

}  // namespace
}  // namespace ottla::broker
