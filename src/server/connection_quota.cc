// SPDX-License-Identifier: Apache-2.0
#include "server/connection_quota.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace ottla::server {

namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int32_t>::max();
constexpr std::string_view kOverrides = "max.connections.per.ip.overrides";

/// "address:limit,address:limit"; an IPv6 address has colons of its own.
Result<std::map<std::string, int64_t>> parse_overrides(const Settings& settings) {
    std::map<std::string, int64_t> overrides;
    for (const std::string& item : settings.list(kOverrides)) {
        const size_t colon = item.rfind(':');
        int64_t limit = -1;
        if (colon != std::string::npos) {
            const char* const end = item.data() + item.size();
            const auto [stop, error] = std::from_chars(item.data() + colon + 1, end, limit);
            if (error != std::errc() || stop != end) limit = -1;
        }
        if (colon == 0 || limit < 0) {
            return fail(ErrorCode::invalid_config,
                        fmt::format("{}={}: must look like 127.0.0.1:10", kOverrides, item));
        }
        overrides[item.substr(0, colon)] = limit;
    }
    return overrides;
}

/// None a second is taken for one an hour: an administrator has to come in to end that.
Duration pace_of(int64_t per_second) {
    constexpr Duration kSlowest = std::chrono::hours(1);
    if (per_second >= kNoLimit) return Duration::zero();
    return per_second == 0 ? kSlowest : Duration(std::chrono::seconds(1)) / per_second;
}

}  // namespace

Status ConnectionQuota::check(const Settings& settings) {
    TRY_STATUS(parse_overrides(settings));
    return {};
}

ConnectionQuota::ConnectionQuota(Runtime& runtime, const Settings& settings, int64_t possible)
    : runtime_(runtime),
      most_(std::min(settings.number("max.connections"), possible)),
      most_per_address_(settings.number("max.connections.per.ip")),
      overrides_(parse_overrides(settings).value_or(std::map<std::string, int64_t>())),
      pace_(pace_of(settings.number("max.connection.creation.rate"))),
      unlimited_(most_ >= kNoLimit && most_per_address_ >= kNoLimit && overrides_.empty() &&
                 pace_ == Duration::zero()),
      changed_(runtime),
      closing_(runtime) {}

int64_t ConnectionQuota::limit_of(const std::string& address) const {
    const auto found = overrides_.find(address);
    return found == overrides_.end() ? most_per_address_ : found->second;
}

Task<> ConnectionQuota::wait_for_turn() {
    if (pace_ == Duration::zero()) co_return;
    // Turns that nobody took are worth something for a second.
    const Instant now = runtime_.now();
    const Instant quiet{now.since_start - std::chrono::seconds(1)};
    turn_ = std::max(turn_, quiet) + pace_;
    if (turn_ <= now) co_return;
    auto turn = runtime_.sleep_for(turn_ - now);
    auto closing = closing_.wait();
    co_await when_any(turn, closing);
}

Task<Status> ConnectionQuota::admit(std::string address) {
    auto waiting = wait_for_turn();
    co_await std::move(waiting);
    while (!closed_ && count_ >= most_) co_await changed_.wait();
    if (closed_) co_return fail(ErrorCode::cancelled, "the server is stopping");
    int64_t& here = per_address_[address];
    if (here >= limit_of(address)) {
        if (here == 0) per_address_.erase(address);
        co_return fail(
            ErrorCode::policy_violation,
            fmt::format("max.connections.per.ip is {} for {}", limit_of(address), address));
    }
    ++here;
    ++count_;
    co_return Status();
}

Task<Status> ConnectionQuota::release(std::string address) {
    const auto here = per_address_.find(address);
    CHECK(here != per_address_.end(), "who leaves was admitted");
    if (--here->second == 0) per_address_.erase(here);
    --count_;
    changed_.notify_all();
    co_return Status();
}

void ConnectionQuota::close() {
    closed_ = true;
    changed_.notify_all();
    closing_.notify_all();
}

}  // namespace ottla::server
