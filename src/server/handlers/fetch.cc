// SPDX-License-Identifier: Apache-2.0
// Walk B, steps 4 to 9. A round reads all partitions, every owning shard once and all shards at the
// same time. When it found too little and nothing that must be told at once, the fetch is parked on
// every shard with its share of the bytes that are missing; the first wake, the deadline or the end
// of the connection disarms the others, then everything is read again (trap 44).
//
// There are no fetch sessions yet: a full fetch is answered with session id 0, as a broker whose
// cache is full does, and any other session is unknown (trap 48).
#include "broker/partition_calls.h"
#include "server/handlers/common.h"
#include "server/handlers/handlers.h"

namespace ottla::server {

namespace {

using protocol::FetchRequest;
using protocol::FetchResponse;
using TopicAnswer = FetchResponse::FetchableTopicResponse;
using PartitionAnswer = FetchResponse::PartitionData;
using Answers = std::vector<replication::FetchAnswer>;

constexpr int16_t kFirstWithIds = 13;
constexpr int16_t kFirstWithHints = 16;
constexpr int16_t kLastWithoutStorageError = 5;

/// One requested partition, in request order.
struct Item {
    size_t topic;
    size_t partition;
    broker::PartitionKey key;
    replication::FetchAsk ask;
    replication::FetchAnswer answer;
    bool readable = false;  // false: `answer` was decided without a shard
};

/// Which items a shard owns, as indices.
using Groups = std::map<ShardIndex, std::vector<size_t>>;

struct Plan {
    std::vector<Item> items;
    Groups groups;
    size_t min_bytes = 0;
    size_t max_bytes = 0;
    size_t wanted_bytes = 0;  // what the partitions' own limits add up to, at most max_bytes
    size_t enough_bytes = 0;  // to answer before the deadline
    Instant deadline;
};

constexpr int8_t kReadCommitted = 1;

size_t not_negative(int32_t value) { return static_cast<size_t>(std::max(value, 0)); }

metadata::TopicPtr find_topic(const Context& context, const FetchRequest::FetchTopic& topic) {
    return context.version() >= kFirstWithIds ? context.image().topic(topic.topic_id)
                                              : context.image().topic(topic.topic);
}

Item make_item(const Context& context,
               const FetchRequest& request,
               const metadata::Topic* topic,
               const FetchRequest::FetchPartition& wanted) {
    Item item{};
    const PartitionIndex index{wanted.partition};
    if (topic == nullptr) {
        item.answer.error = context.version() >= kFirstWithIds
                                ? ErrorCode::unknown_topic_id
                                : ErrorCode::unknown_topic_or_partition;
    } else if (topic->partition(index) == nullptr) {
        item.answer.error = ErrorCode::unknown_topic_or_partition;
    } else {
        item.readable = true;
        item.key = {topic->id, index};
        item.ask.from = Offset{wanted.fetch_offset};
        item.ask.max_bytes = not_negative(wanted.partition_max_bytes);
        item.ask.current_leader_epoch = LeaderEpoch{wanted.current_leader_epoch};
        item.ask.committed = request.isolation_level == kReadCommitted;
        item.ask.replica = BrokerId{context.version() >= 15 ? request.replica_state.replica_id
                                                            : request.replica_id};
    }
    return item;
}

Plan make_plan(const Context& context, const FetchRequest& request) {
    Plan plan;
    const auto most = static_cast<size_t>(context.shard.facts().settings.number("fetch.max.bytes"));
    plan.max_bytes = std::min(not_negative(request.max_bytes), most);
    plan.min_bytes = std::min(not_negative(request.min_bytes), plan.max_bytes);
    plan.deadline =
        context.shard.runtime().now() + std::chrono::milliseconds(std::max(request.max_wait_ms, 0));
    for (size_t t = 0; t < request.topics.size(); ++t) {
        const metadata::TopicPtr topic = find_topic(context, request.topics[t]);
        for (size_t p = 0; p < request.topics[t].partitions.size(); ++p) {
            Item item = make_item(context, request, topic.get(), request.topics[t].partitions[p]);
            item.topic = t;
            item.partition = p;
            if (item.readable) {
                plan.groups[context.shard.owner_of(item.key)].push_back(plan.items.size());
                const size_t left = plan.max_bytes - plan.wanted_bytes;
                plan.wanted_bytes += std::min(item.ask.max_bytes, left);
            }
            plan.items.push_back(std::move(item));
        }
    }
    return plan;
}

/// Reads everything once. Each shard keeps to the limit by itself; what they found together is held
/// against it in request order afterwards: the first batch always goes, later partitions wait their
/// turn.
Task<Status> read_round(Context context, Plan& plan, size_t max_bytes) {
    std::vector<Task<Answers>> calls;
    for (const auto& [owner, members] : plan.groups) {
        std::vector<broker::ReadItem> items;
        items.reserve(members.size());
        for (const size_t index : members) {
            items.push_back({plan.items[index].key, plan.items[index].ask});
        }
        auto work = [held = std::move(items), max_bytes](broker::Shard& there) mutable {
            return broker::read_group(there, std::move(held), max_bytes);
        };
        calls.push_back(context.shard.on(owner, std::move(work)));
    }
    auto all = when_all(context.shard.runtime(), std::move(calls));
    std::vector<Answers> answers = co_await std::move(all);
    size_t which = 0;
    for (const auto& [owner, members] : plan.groups) {
        for (size_t i = 0; i < members.size(); ++i) {
            plan.items[members[i]].answer = std::move(answers[which][i]);
        }
        ++which;
    }
    size_t total = 0;
    for (Item& item : plan.items) {
        const size_t most = std::min(item.ask.max_bytes, max_bytes - std::min(total, max_bytes));
        if (total != 0 && item.answer.records.size() > most) item.answer.records = Chain();
        total += item.answer.records.size();
    }
    co_return Status();
}

/// A round within what the shard can hold for slow clients: under pressure it finds less.
Task<> read_within_memory(Context context, Plan& plan) {
    auto reserving =
        context.shard.client_bytes().reserve(plan.wanted_bytes, &context.session.is_gone);
    const auto reservation = co_await std::move(reserving);
    // Many may have waited, and all of them are let go at once when their clients leave.
    if (context.session.is_gone) co_return;
    plan.enough_bytes = std::min(plan.min_bytes, reservation.bytes());
    const bool all = reservation.bytes() >= plan.wanted_bytes;
    auto reading = read_round(context, plan, all ? plan.max_bytes : reservation.bytes());
    (void)co_await std::move(reading);
}

size_t bytes_found(const Plan& plan) {
    size_t bytes = 0;
    for (const Item& item : plan.items) bytes += item.answer.records.size();
    return bytes;
}

bool must_answer_now(const Context& context, const Plan& plan) {
    if (context.session.is_gone || plan.groups.empty()) return true;
    if (context.shard.runtime().now() >= plan.deadline) return true;
    if (bytes_found(plan) >= plan.enough_bytes) return true;
    return std::ranges::any_of(
        plan.items, [](const Item& item) { return item.answer.error != ErrorCode::none; });
}

/// A fetch parked on several shards; lives in the frame of `park` until every watch has ended.
struct LongPoll {
    explicit LongPoll(Runtime& runtime) : woke(runtime) {}
    Event woke;
    size_t armed = 0;
};

Task<> watch_shard(Context context,
                   ShardIndex owner,
                   std::vector<broker::WatchItem> items,
                   size_t missing,
                   uint64_t ticket,
                   LongPoll& poll) {
    auto work = [held = std::move(items), missing, ticket](broker::Shard& there) mutable {
        return broker::watch_group(there, std::move(held), missing, ticket);
    };
    auto watching = context.shard.on(owner, std::move(work));
    (void)co_await std::move(watching);
    --poll.armed;
    poll.woke.notify_all();
}

/// Until something moved, the deadline, or the client is gone.
Task<> park(Context context, Plan& plan) {
    Runtime& runtime = context.shard.runtime();
    LongPoll poll(runtime);
    const uint64_t ticket = context.shard.next_ticket();
    const size_t missing = plan.enough_bytes - bytes_found(plan);
    for (Item& item : plan.items) item.answer.records = Chain();  // Read again when it wakes.
    const size_t shards = plan.groups.size();
    // Once all have gained what is missing together, one of them has gained this much.
    const size_t share = (missing + shards - 1) / shards;
    poll.armed = shards;
    for (const auto& [owner, members] : plan.groups) {
        std::vector<broker::WatchItem> items;
        for (const size_t index : members) {
            items.push_back({plan.items[index].key, plan.items[index].answer.high_watermark});
        }
        runtime.spawn(watch_shard(context, owner, std::move(items), share, ticket, poll));
    }
    if (poll.armed == shards && !context.session.is_gone) {
        auto woke = poll.woke.wait();
        auto gone = context.session.gone.wait();
        auto late = runtime.sleep_until(plan.deadline);
        auto any = when_any(woke, gone, late);
        (void)co_await any;
    }
    for (const auto& [owner, members] : plan.groups) {
        auto work = [ticket](broker::Shard& there) { return broker::disarm_group(there, ticket); };
        auto disarming = context.shard.on(owner, std::move(work));
        (void)co_await std::move(disarming);
    }
    while (poll.armed != 0) co_await poll.woke.wait();
}

/// Trap 46, 47: an error carries no offsets, its records are empty and not null.
void fill(const Context& context, PartitionAnswer& answer, Item& item) {
    ErrorCode error = item.answer.error;
    switch (error) {  // What a client's fetch may be told; the rest would break it.
        case ErrorCode::none:
        case ErrorCode::offset_out_of_range:
        case ErrorCode::corrupt_message:
        case ErrorCode::unknown_topic_or_partition:
        case ErrorCode::not_leader_or_follower:
        case ErrorCode::kafka_storage_error:
        case ErrorCode::fenced_leader_epoch:
        case ErrorCode::unknown_leader_epoch:
        case ErrorCode::unknown_topic_id: break;
        case ErrorCode::corrupt: error = ErrorCode::corrupt_message; break;
        case ErrorCode::io_error: error = ErrorCode::kafka_storage_error; break;
        default: error = ErrorCode::unknown_server_error; break;
    }
    if (error == ErrorCode::kafka_storage_error && context.version() <= kLastWithoutStorageError) {
        error = ErrorCode::not_leader_or_follower;
    }
    answer.error_code = to_wire(error);
    answer.high_watermark = item.answer.high_watermark.value();
    answer.last_stable_offset = item.answer.last_stable_offset.value();
    answer.log_start_offset = item.answer.log_start.value();
    answer.records = std::move(item.answer.records);
    if (!item.ask.committed || error != ErrorCode::none) return;
    auto& aborted = answer.aborted_transactions.emplace();  // Trap 50: else it stays null.
    for (const storage::AbortedTransaction& one : item.answer.aborted) {
        aborted.push_back({.producer_id = one.producer.value(), .first_offset = one.first.value()});
    }
}

/// KIP-951: who leads instead.
void add_hint(const Context& context,
              const Item& item,
              PartitionAnswer& answer,
              FetchResponse& response) {
    const auto code = static_cast<ErrorCode>(answer.error_code);
    const bool hinted =
        code == ErrorCode::not_leader_or_follower || code == ErrorCode::fenced_leader_epoch;
    if (!hinted || context.version() < kFirstWithHints) return;
    const metadata::TopicPtr topic = context.image().topic(item.key.topic_id);
    const metadata::Partition* partition = topic ? topic->partition(item.key.index) : nullptr;
    if (partition == nullptr) return;
    answer.current_leader = {partition->leader.value(), partition->leader_epoch.value()};
    const metadata::Broker* leader = context.image().broker(partition->leader);
    const auto endpoint = leader == nullptr ? std::nullopt : endpoint_for(context, *leader);
    const bool named = std::ranges::any_of(response.node_endpoints, [partition](const auto& node) {
        return node.node_id == partition->leader.value();
    });
    if (!endpoint || named) return;
    response.node_endpoints.push_back(
        {partition->leader.value(), endpoint->host, endpoint->port, leader->rack});
}

FetchResponse make_response(const Context& context, const FetchRequest& request, Plan& plan) {
    FetchResponse response;
    for (const auto& topic : request.topics) {
        TopicAnswer& answers = response.responses.emplace_back();
        answers.topic = topic.topic;
        answers.topic_id = topic.topic_id;
        answers.partitions.reserve(topic.partitions.size());
    }
    for (Item& item : plan.items) {
        PartitionAnswer& answer = response.responses[item.topic].partitions.emplace_back();
        answer.partition_index = request.topics[item.topic].partitions[item.partition].partition;
        fill(context, answer, item);
        add_hint(context, item, answer, response);
    }
    return response;
}

}  // namespace

Task<FetchResponse> handle_fetch(Context context, FetchRequest request) {
    const bool full = request.session_epoch <= 0 && request.session_id == 0;
    const bool closes_session = request.session_epoch == -1;
    if (!full && !closes_session) {
        FetchResponse response;
        response.error_code = to_wire(ErrorCode::fetch_session_id_not_found);
        co_return response;
    }
    Plan plan = make_plan(context, request);
    while (true) {
        auto reading = read_within_memory(context, plan);
        co_await std::move(reading);
        if (must_answer_now(context, plan)) break;
        auto parking = park(context, plan);
        co_await std::move(parking);
    }
    co_return make_response(context, request, plan);
}

}  // namespace ottla::server
