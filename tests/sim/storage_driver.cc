// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/storage_driver.h"

#include <fmt/format.h>

#include <algorithm>

#include "records/control.h"
#include "records/records.h"
#include "tests/sim/storage_program.h"
#include "tests/sim/transaction_model.h"

namespace ottla::sim {

namespace {
constexpr std::chrono::milliseconds kMillisecond{1};
constexpr size_t kWindow = 5;
}  // namespace

LogDriver::LogDriver(StorageProgram& program,
                     TestedLog& tested,
                     Ports ports,
                     storage::LogStore& store)
    : program_(program),
      world_(program.world()),
      tested_(tested),
      ports_(ports),
      store_(store),
      moves_(world_.world.random_for(
          fmt::format("moves of {} {}", tested.name, world_.process.starts()))) {}

void LogDriver::adopt(storage::Log* log) {
    log_ = log;
    if (log_ != nullptr) log_->observe(this);
}

void LogDriver::durable_end_moved(storage::Log& log, Offset durable_end) {
    if (world_.world.verbose()) {
        world_.world.note(fmt::format("{}: durable {}", tested_.name, durable_end.value()));
    }
    const bool synced = log.config().durability == storage::Durability::strict;
    const auto wrong = tested_.model.durable_end_moved(durable_end, synced);
    if (wrong) failed(*wrong);
}

void LogDriver::log_failed(storage::Log&, const Error& why) { offline(why); }

size_t LogDriver::where() const {
    for (size_t i = 0; log_ != nullptr && i < kDirectories.size(); ++i) {
        if (log_->log_dir() == kDirectories[i]) tested_.directory = i;
    }
    return tested_.directory;
}

bool LogDriver::is_offline() const { return program_.is_offline(where()); }

void LogDriver::failed(const std::string& what) { world_.note_failure(tested_.name + ": " + what); }

void LogDriver::offline(const Error& why) {
    program_.went_offline(where());
    // A start that waits for space to settle, and is stopped.
    if (world_.may_be_full && program_.is_stopping()) return;
    if (!world_.may_fail(where())) failed("offline without a fault: " + why.detail);
}

bool LogDriver::is_fatal(const Error& error, const char* doing) {
    if (error.code == ErrorCode::no_space && world_.may_be_full) return false;
    const bool disk = error.code == ErrorCode::kafka_storage_error ||
                      error.code == ErrorCode::io_error || error.code == ErrorCode::no_space;
    if (disk) {
        offline(error);
        return true;
    }
    failed(fmt::format("{}: {} {}", doing, name_of(error.code), error.detail));
    return true;
}

bool LogDriver::was_overtaken(const Error& error) const {
    return tested_.is_retained() && error.code == ErrorCode::offset_out_of_range;
}

size_t LogDriver::change(const LogChange& what) {
    static constexpr std::array kWords = {"create", "append", "truncate", "move start", "remove"};
    const size_t index = tested_.model.add(what);
    if (world_.world.verbose()) {
        world_.world.note(fmt::format("{}: {} {} producer {} sequence {} x{}: now {}", tested_.name,
                                      kWords[static_cast<size_t>(what.kind)], what.offset.value(),
                                      what.batch.producer.value(), what.batch.sequence,
                                      what.batch.records, tested_.model.now().describe()));
    }
    return index;
}

/// Retention moves the start when it likes: never over what is not replicated.
void LogDriver::follow_retention() {
    if (log_ == nullptr || !tested_.model.now().exists) return;
    const Offset start = log_->log_start();
    if (start == tested_.model.now().start) return;
    if (!tested_.is_retained() || start < tested_.model.now().start ||
        start > tested_.replicated) {
        failed(fmt::format("the log start is {}, not {}; replicated is {}", start.value(),
                           tested_.model.now().start.value(), tested_.replicated.value()));
        return;
    }
    ++world_.retained;
    change({.kind = LogChange::Kind::move_start, .offset = start, .batch = {}});
}

Task<> LogDriver::run() {
    uint64_t acts = 0;
    const uint64_t most = world_.options.acts == 0 ? UINT64_MAX : world_.options.acts;
    while (!program_.is_stopping() && !is_offline() && world_.failure.empty() && acts++ < most) {
        const auto pause = static_cast<int64_t>(tested_.random.below(4));
        if (pause == 3) static_cast<void>(co_await ports_.runtime.sleep_for(kMillisecond * pause));
        if (pause < 3) co_await ports_.runtime.yield();
        if (is_offline()) break;
        follow_retention();
        if (log_ != nullptr && moves_.below(60) == 0) co_await begin_or_end_move();
        if (tested_.switches_durability && log_ != nullptr && tested_.durability.below(25) == 0) {
            co_await switch_durability();
            if (is_offline()) break;
        }
        const uint64_t what = tested_.random.below(1000);
        co_await act(what);
    }
    program_.driver_ended();
}

Task<> LogDriver::act(uint64_t what) {
    if (log_ == nullptr) {
        create();
    } else if (what < 600) {
        co_await append();
    } else if (what < 650) {
        const Status rolled = log_->roll();
        if (!rolled && rolled.error().code != ErrorCode::would_block)
            is_fatal(rolled.error(), "roll");
    } else if (what < 710) {
        co_await truncate();
    } else if (what < 740) {
        move_start();
    } else if (what < 800) {
        note_high_watermark();
    } else if (what < 870) {
        co_await read_something();
    } else if (what < 885) {
        co_await read_as_consumer();
    } else if (what < 950) {
        co_await wait_until_durable();
    } else if (what < 990) {
        const Status done = co_await store_.checkpoint();
        // Of all directories, and another one may have failed.
        if (!done && !program_.is_any_offline()) is_fatal(done.error(), "checkpoint");
    } else {
        co_await remove();
    }
}

/// To the other directory. What the log says it has is the same, wherever it is.
Task<> LogDriver::begin_or_end_move() {
    const TopicPartition name = log_->name();
    if (store_.moves_to(name)) {
        if (moves_.below(3) == 0) co_await store_.cancel_move(name);
        co_return;
    }
    const size_t target = 1 - where();
    if (program_.is_offline(target) || is_offline()) co_return;
    const Status begun = store_.move_log(*log_, {kDirectories[target], nullptr, {}});
    if (begun) ++world_.moves;
    if (!begun && !program_.is_any_offline()) failed("a move was refused: " + begun.error().detail);
}

void LogDriver::create() {
    // A name may come back in another directory.
    const size_t directory = tested_.random.below(kDirectories.size());
    if (program_.is_offline(directory)) return;
    storage::NewLog wanted;
    wanted.name = {.topic = tested_.name, .partition = PartitionIndex{0}};
    for (uint8_t& byte : wanted.topic_id.bytes) byte = static_cast<uint8_t>(tested_.random.next());
    wanted.log_dir = kDirectories[directory];
    wanted.config = tested_.config;
    const Result<storage::Log*> made = store_.create_log(wanted);
    tested_.directory = directory;
    if (!made) {
        if (made.error().code != ErrorCode::would_block) is_fatal(made.error(), "create");
        return;
    }
    tested_.replicated = Offset{0};
    change({.kind = LogChange::Kind::create, .offset = Offset{0}, .batch = {}});
    adopt(*made);
}

std::vector<BatchFact> LogDriver::newest_of(ProducerId producer) const {
    std::vector<BatchFact> newest;
    const LogState& now = tested_.model.now();
    for (auto batch = now.batches.rbegin(); batch != now.batches.rend(); ++batch) {
        if (batch->end() <= now.start || newest.size() == kWindow) break;
        if (batch->producer == producer && !batch->is_marker()) newest.push_back(*batch);
    }
    return newest;
}

Offset LogDriver::lowest_kept() const {
    // Each producer's last five batches stay, and its open transaction, so that the model knows what
    // its state must be.
    Offset lowest = tested_.model.now().end;
    for (const ProducerId producer : tested_.producers) {
        const std::vector<BatchFact> newest = newest_of(producer);
        if (!newest.empty()) lowest = std::min(lowest, newest.back().base);
        const auto open = open_transaction(tested_.model.now(), producer);
        if (open) lowest = std::min(lowest, *open);
    }
    return lowest == tested_.model.now().end ? tested_.model.now().start : lowest;
}

Buffer LogDriver::make_batch(ProducerId producer, int32_t sequence, bool transactional) {
    BatchOptions options;
    options.producer_id = producer;
    if (producer != kNoProducer) options.producer_epoch = ProducerEpoch{0};
    options.base_sequence = sequence;
    options.transactional = transactional;
    BatchBuilder builder(codecs_, options);
    const uint64_t records = tested_.random.between(1, 4);
    for (uint64_t i = 0; i < records; ++i) {
        const uint64_t filling = tested_.random.below(8) == 0 ? world_.large_value : 60;
        const size_t length = tested_.random.below(filling);
        const std::string value =
            fmt::format("{} {} {}", tested_.name, tested_.next_label++, std::string(length, 'v'));
        if (!tested_.config.compacts) {
            builder.append(ports_.runtime.wall_time(), std::nullopt, as_bytes(value));
            continue;
        }
        const std::string key = fmt::format("key {}", tested_.random.below(6));
        OptionalBytes content;
        if (tested_.random.below(6) != 0) content = as_bytes(value);
        builder.append(ports_.runtime.wall_time(), as_bytes(key), content);
    }
    Result<Buffer> batch = builder.finish();
    CHECK(batch.has_value(), "a plain batch is always built");
    return *std::move(batch);
}

Task<> LogDriver::append() {
    for (ProducerId& producer : tested_.producers) {
        // Whether the log still knows a producer none of whose batches is left is its own affair.
        if (newest_of(producer).empty()) producer = ProducerId{producer.value() + 100};
    }
    const ProducerId idempotent = tested_.producers[0];
    const uint64_t what = tested_.random.below(12);
    if (what < 3) {
        co_await append_bytes(make_batch(kNoProducer, kNoSequence, false), false);
    } else if (what < 5) {
        co_await append_again(idempotent);
    } else if (what < 9) {
        co_await append_next(idempotent, what == 8);
    } else {
        co_await append_transactional(1 + tested_.random.below(tested_.producers.size() - 1));
    }
}

Task<> LogDriver::append_again(ProducerId producer) {
    const std::vector<BatchFact> newest = newest_of(producer);
    if (newest.empty()) co_return;
    // The window is five batches; after a truncation or a cleaning it may be the last one only.
    const size_t window = tested_.truncated || tested_.config.compacts ? 1 : kWindow;
    const uint64_t back = tested_.random.below(std::min(newest.size(), window));
    const auto before = world_.sent.find(newest[back].content);
    if (before != world_.sent.end()) co_await append_bytes(before->second, false);
}

Task<> LogDriver::append_next(ProducerId producer, bool out_of_sequence) {
    const std::vector<BatchFact> newest = newest_of(producer);
    const bool first = newest.empty();
    const int32_t next =
        first ? 0 : sequence_after(newest.front().sequence, newest.front().records);
    const bool wrong = out_of_sequence && !first;
    const bool transactional = producer != tested_.producers[0];
    const int32_t sequence = wrong ? next + 3 : next;
    co_await append_bytes(make_batch(producer, sequence, transactional), wrong);
}

Task<> LogDriver::append_transactional(size_t which) {
    const ProducerId producer = tested_.producers[which];
    const bool open = open_transaction(tested_.model.now(), producer).has_value();
    if (!open || tested_.random.below(3) != 0) {
        co_await append_next(producer, false);
        co_return;
    }
    const bool committed = tested_.random.below(2) == 0;
    MarkerOptions options;
    options.producer_id = producer;
    options.producer_epoch = ProducerEpoch{0};
    options.timestamp = ports_.runtime.wall_time();
    co_await append_bytes(build_end_transaction_batch(options, {committed, 0}), false);
}

Task<> LogDriver::append_bytes(Buffer batch, bool out_of_sequence) {
    storage::AppendRequest request;
    request.batch = batch.span();
    request.leader_epoch = LeaderEpoch{static_cast<int32_t>(world_.process.starts())};
    const Result<storage::AppendResult> result = log_->append(request);
    if (!result) {
        const ErrorCode code = result.error().code;
        if (code == ErrorCode::would_block) {
            co_await store_.wait_for_room(log_->log_dir());
        } else if (code == ErrorCode::no_space && world_.may_be_full) {
            ++world_.refused;
            static_cast<void>(co_await ports_.runtime.sleep_for(kMillisecond * 10));
        } else if (code == ErrorCode::out_of_order_sequence_number && out_of_sequence) {
            ++world_.refused;
        } else {
            is_fatal(result.error(), "append");
        }
        co_return;
    }
    if (out_of_sequence) {
        failed("a batch out of sequence was taken");
        co_return;
    }
    took(*result, batch);
}

void LogDriver::took(const storage::AppendResult& result, const Buffer& batch) {
    const BatchFact fact = fact_of(BatchView(batch.span()), result.base_offset);
    const LogState& now = tested_.model.now();
    for (auto known = now.batches.rbegin(); known != now.batches.rend(); ++known) {
        const bool again = fact.producer != kNoProducer && !fact.is_marker();
        if (!again || known->content != fact.content) continue;
        const bool same = result.verdict == storage::AppendResult::Verdict::duplicate &&
                          result.base_offset == known->base;
        if (!same) {
            failed(fmt::format("the batch at {} was sent again and got {}", known->base.value(),
                               result.base_offset.value()));
        }
        ++world_.duplicates;
        return;
    }
    const bool right = result.verdict == storage::AppendResult::Verdict::appended &&
                       result.base_offset == now.end && result.last_offset == fact.end() - 1;
    if (!right) {
        failed(fmt::format("appended at {}..{} when the end was {}", result.base_offset.value(),
                           result.last_offset.value(), now.end.value()));
    }
    ++world_.appended;
    if (fact.producer != kNoProducer) world_.sent[fact.content] = batch;
    change({.kind = LogChange::Kind::append, .offset = {}, .batch = fact});
}

Task<> LogDriver::truncate() {
    const LogState& now = tested_.model.now();
    // What a cleaner may have worked on is replicated, and never truncated.
    const Offset lowest =
        tested_.config.compacts ? std::max(now.start, tested_.replicated) : now.start;
    const int64_t most = std::clamp<int64_t>(now.end - lowest, 0, 12);
    const int64_t back =
        static_cast<int64_t>(tested_.random.between(0, static_cast<uint64_t>(most)));
    const Offset to = now.end - back;
    const LogChange cut{.kind = LogChange::Kind::truncate, .offset = to, .batch = {}};
    tested_.model.announce(cut);
    tested_.truncated = true;
    const Status done = co_await log_->truncate_to(to);
    if (!done) {
        if (!was_overtaken(done.error())) {
            is_fatal(done.error(), "truncate");
            co_return;
        }
        tested_.model.withdraw();
        co_return;
    }
    // Retention may have moved the start before the cut and behind it, a segment at a time.
    tested_.model.start_may_reach(log_->log_start());
    change(cut);
    follow_retention();
    if (log_->log_end() != tested_.model.now().end) {
        failed(fmt::format("truncated to {}, the end is {} and should be {}", to.value(),
                           log_->log_end().value(), tested_.model.now().end.value()));
    }
}

void LogDriver::move_start() {
    const LogState& now = tested_.model.now();
    const Offset highest = std::min(lowest_kept(), log_->durable_end());
    if (highest <= now.start) return;
    const uint64_t span = static_cast<uint64_t>(highest - now.start);
    const Offset to = now.start + static_cast<int64_t>(tested_.random.between(1, span));
    Status done;
    if (to <= log_->noted_high_watermark()) {
        const auto deleted = log_->delete_records(to);
        if (!deleted) done = std::unexpected(deleted.error());
    } else {
        done = log_->delete_before(to);
    }
    if (!done) {
        if (done.error().code != ErrorCode::would_block) is_fatal(done.error(), "delete records");
        return;
    }
    change({.kind = LogChange::Kind::move_start, .offset = to, .batch = {}});
}

/// As the replicas tell it: somewhere up to the durable end, and it does not go back.
void LogDriver::note_high_watermark() {
    const Offset durable = log_->durable_end();
    const Offset known = std::min(log_->noted_high_watermark(), durable);
    const uint64_t span = static_cast<uint64_t>(durable - known);
    const bool all = tested_.random.below(4) != 0;
    const Offset to =
        all ? durable : known + static_cast<int64_t>(tested_.random.between(0, span));
    tested_.replicated = std::max(tested_.replicated, to);
    if (tested_.is_retained()) tested_.model.start_may_reach(to);
    log_->note_high_watermark(to);
}

Task<> LogDriver::wait_until_durable() {
    const Offset end = log_->log_end();
    for (int i = 0; i < 4000 && !is_offline(); ++i) {
        if (log_->durable_end() >= end) co_return;
        static_cast<void>(co_await ports_.runtime.sleep_for(kMillisecond));
    }
    if (!is_offline() && !world_.may_be_full) {
        failed(fmt::format("{} is not durable after 4 s", end.value()));
    }
}

Task<> LogDriver::switch_durability() {
    const bool relaxed = log_->config().durability == storage::Durability::relaxed;
    const auto to = relaxed ? storage::Durability::strict : storage::Durability::relaxed;
    if (relaxed) co_await have_something_unsynced();
    if (is_offline()) co_return;
    const size_t acknowledged = tested_.model.acknowledged();
    const Status done = co_await log_->set_durability(to);
    if (!done) {
        is_fatal(done.error(), "another durability");
        co_return;
    }
    // Back to strict: whatever it acknowledged while it was not is synced now.
    if (relaxed) tested_.model.synced(acknowledged);
    if (relaxed && tested_.durability.below(10) == 0) world_.power_goes = true;
    tested_.config.durability = to;
}

/// Written and acknowledged, and its sync on the way.
Task<> LogDriver::have_something_unsynced() {
    co_await append();
    const Offset end = log_->log_end();
    for (int i = 0; i < 500 && !is_offline() && log_->durable_end() < end; ++i) {
        static_cast<void>(co_await ports_.runtime.sleep_for(std::chrono::microseconds(20)));
    }
}

Task<> LogDriver::remove() {
    const size_t index = change({.kind = LogChange::Kind::remove, .offset = {}, .batch = {}});
    static_cast<void>(where());
    storage::Log& log = *std::exchange(log_, nullptr);
    log.observe(nullptr);
    const Status done = co_await store_.delete_log(log);
    if (!done) {
        // Perhaps it was moving, and the other directory failed: nobody knows what is left of it.
        if (program_.is_any_offline()) {
            program_.went_offline(tested_.directory);
            co_return;
        }
        is_fatal(done.error(), "delete");
        co_return;
    }
    tested_.model.durable_through(index);
}

}  // namespace ottla::sim
