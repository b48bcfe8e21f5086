// SPDX-License-Identifier: Apache-2.0
#include "server/connection_quota.h"

#include <gtest/gtest.h>

#include "tests/base/manual_runtime.h"

namespace ottla::server {
namespace {

class ConnectionQuotaTest : public testing::Test {
protected:
    ~ConnectionQuotaTest() override { runtime_.destroy_roots(); }
    void set(const std::string& name, const std::string& value) {
        ASSERT_TRUE(settings_.set(name, value, Settings::Source::file));
    }
    void open() { quota_ = std::make_unique<ConnectionQuota>(runtime_, settings_); }
    /// The answer, or nothing while it waits.
    std::shared_ptr<std::optional<Status>> admit(const std::string& address) {
        auto answer = std::make_shared<std::optional<Status>>();
        runtime_.spawn(keep(quota_->admit(address), answer));
        runtime_.run();
        return answer;
    }
    void release(const std::string& address) {
        runtime_.spawn(keep(quota_->release(address), std::make_shared<std::optional<Status>>()));
        runtime_.run();
    }
    static Task<> keep(Task<Status> task, std::shared_ptr<std::optional<Status>> into) {
        Status status = co_await std::move(task);
        into->emplace(std::move(status));
    }

    test::ManualRuntime runtime_;
    Settings settings_;
    std::unique_ptr<ConnectionQuota> quota_;
};

TEST_F(ConnectionQuotaTest, WithoutSettingsThereIsNoLimit) {
    open();
    EXPECT_TRUE(quota_->is_unlimited());
}

TEST_F(ConnectionQuotaTest, TheSurplusWaitsForAPlace) {
    set("max.connections", "2");
    open();
    EXPECT_FALSE(quota_->is_unlimited());
    EXPECT_TRUE(admit("a")->value());
    EXPECT_TRUE(admit("b")->value());
    const auto third = admit("c");
    const auto fourth = admit("d");
    EXPECT_FALSE(third->has_value());
    release("a");
    EXPECT_TRUE(third->has_value() && third->value());
    EXPECT_FALSE(fourth->has_value());
    quota_->close();
    runtime_.run();
    ASSERT_TRUE(fourth->has_value());
    EXPECT_EQ(fourth->value().error().code, ErrorCode::cancelled);
}

TEST_F(ConnectionQuotaTest, EachAddressHasALimitOfItsOwn) {
    set("max.connections.per.ip", "1");
    set("max.connections.per.ip.overrides", "10.0.0.1:2,fe80::1:0");
    open();
    EXPECT_TRUE(admit("a")->value());
    EXPECT_TRUE(admit("b")->value());
    const auto second = admit("a");
    ASSERT_TRUE(second->has_value() && !second->value());
    EXPECT_EQ(second->value().error().detail, "max.connections.per.ip is 1 for a");
    EXPECT_TRUE(admit("10.0.0.1")->value());
    EXPECT_TRUE(admit("10.0.0.1")->value());
    EXPECT_FALSE(admit("10.0.0.1")->value());
    EXPECT_FALSE(admit("fe80::1")->value());
    release("a");
    EXPECT_TRUE(admit("a")->value());
}

TEST_F(ConnectionQuotaTest, NewConnectionsKeepToARateButThoseOfAQuietSecondComeAtOnce) {
    set("max.connection.creation.rate", "4");
    open();
    EXPECT_FALSE(quota_->is_unlimited());
    runtime_.advance(std::chrono::seconds(100));
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(admit("a")->has_value()) << i;
    const auto fifth = admit("b");
    const auto sixth = admit("c");
    EXPECT_FALSE(fifth->has_value());
    runtime_.advance(std::chrono::milliseconds(250));
    EXPECT_TRUE(fifth->has_value() && fifth->value());
    EXPECT_FALSE(sixth->has_value());
    quota_->close();
    runtime_.run();
    ASSERT_TRUE(sixth->has_value());
    EXPECT_EQ(sixth->value().error().code, ErrorCode::cancelled);
}

TEST_F(ConnectionQuotaTest, OverridesThatCannotBeReadAreRefused) {
    for (const char* text : {"10.0.0.1", ":3", "a:", "a:-1", "a:x", "a:1x"}) {
        set("max.connections.per.ip.overrides", text);
        const Status checked = ConnectionQuota::check(settings_);
        ASSERT_FALSE(checked) << text;
        EXPECT_NE(checked.error().detail.find("max.connections.per.ip.overrides"),
                  std::string::npos);
    }
}

}  // namespace
}  // namespace ottla::server
