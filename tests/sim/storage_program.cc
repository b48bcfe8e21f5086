// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/storage_program.h"

#include <fmt/format.h>

#include <algorithm>

#include "records/records.h"

namespace ottla::sim {

namespace {

constexpr const char* kDirectory = "/data/logs";
constexpr std::chrono::milliseconds kMillisecond{1};

BatchFact fact_of(const BatchView& batch) {
    const auto covered = batch.bytes().subspan(batch_layout::kAttributes);
    return {.base = batch.base_offset(),
            .records = batch.last_offset_delta() + 1,
            .content = hash_of(covered),
            .producer = batch.producer_id(),
            .sequence = batch.base_sequence()};
}

}  // namespace

/// Works on one log until the process ends or the directory fails.
class StorageProgram::Driver final : public storage::LogObserver {
public:
    Driver(StorageProgram& program, TestedLog& tested, Ports ports, storage::LogStore& store)
        : program_(program),
          world_(program.world_),
          tested_(tested),
          ports_(ports),
          store_(store) {}
    ~Driver() { static_cast<void>(this); }

    /// The log as a start found it, null if there is none.
    void adopt(storage::Log* log) {
        log_ = log;
        if (log_ != nullptr) log_->observe(this);
    }
    Task<Status> check_recovered();
    Task<> run();

    void durable_end_moved(storage::Log&, Offset durable_end) override {
        if (world_.world.verbose()) {
            world_.world.note(fmt::format("{}: durable {}", tested_.name, durable_end.value()));
        }
        const auto wrong = tested_.model.durable_end_moved(durable_end);
        if (wrong) world_.note_failure(tested_.name + ": " + *wrong);
    }
    void log_failed(storage::Log&, const Error& why) override { offline(why); }

private:
    void offline(const Error& why) {
        program_.offline_ = true;
        if (!world_.may_fail) {
            world_.note_failure(tested_.name + ": offline without a fault: " + why.detail);
        }
    }
    /// True when the error ends this driver's work.
    bool is_fatal(const Error& error, const char* doing) {
        if (error.code == ErrorCode::no_space && world_.may_be_full) return false;
        const bool disk = error.code == ErrorCode::kafka_storage_error ||
                          error.code == ErrorCode::io_error || error.code == ErrorCode::no_space;
        if (disk) {
            offline(error);
            return true;
        }
        world_.note_failure(
            fmt::format("{}: {}: {} {}", tested_.name, doing, name_of(error.code), error.detail));
        return true;
    }
    size_t change(const LogChange& what);
    Task<> act(uint64_t what);
    Task<> append();
    Task<> append_bytes(Buffer batch, bool out_of_sequence);
    void took(const storage::AppendResult& result, const Buffer& batch);
    Task<> truncate();
    void move_start();
    Task<> read_something();
    Task<> wait_until_durable();
    Task<> remove();
    void create();
    Buffer make_batch(ProducerId producer, int32_t sequence);
    [[nodiscard]] std::vector<BatchFact> own_batches() const;
    [[nodiscard]] Offset lowest_kept() const;

    StorageProgram& program_;
    StorageWorld& world_;
    TestedLog& tested_;
    Ports ports_;
    storage::LogStore& store_;
    storage::Log* log_ = nullptr;
    Codecs codecs_;
};

size_t StorageProgram::Driver::change(const LogChange& what) {
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

Task<Status> StorageProgram::Driver::check_recovered() {
    LogState found;
    if (log_ != nullptr) {
        found = {.exists = true, .start = log_->log_start(), .end = log_->log_end(), .batches = {}};
        Offset at = log_->log_start();
        while (at < log_->log_end()) {
            auto slice = log_->read(at, 20'000, log_->log_end(), true);
            if (!slice && slice.error().code == ErrorCode::would_block) {
                slice = co_await log_->read_cold(at, 20'000, log_->log_end(), true);
            }
            if (!slice) co_return std::unexpected(slice.error());
            const Buffer bytes = slice->bytes.flatten();
            BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
            while (cursor.next() == BatchStep::batch)
                found.batches.push_back(fact_of(cursor.batch()));
            if (slice->next <= at) co_return fail(ErrorCode::corrupt, "a read that goes nowhere");
            at = slice->next;
        }
    }
    tested_.truncated = false;
    const auto wrong = tested_.model.recovered(found);
    if (wrong) world_.note_failure(tested_.name + " after a start: " + *wrong);
    co_return Status{};
}

Task<> StorageProgram::Driver::run() {
    while (!program_.stopping_ && !program_.offline_ && world_.failure.empty()) {
        const auto pause = static_cast<int64_t>(tested_.random.below(4));
        if (pause == 3) static_cast<void>(co_await ports_.runtime.sleep_for(kMillisecond * pause));
        if (pause < 3) co_await ports_.runtime.yield();
        const uint64_t what = tested_.random.below(100);
        co_await act(what);
    }
    --program_.drivers_running_;
}

Task<> StorageProgram::Driver::act(uint64_t what) {
    if (log_ == nullptr) {
        create();
    } else if (what < 66) {
        co_await append();
    } else if (what < 72) {
        const Status rolled = log_->roll();
        if (!rolled && rolled.error().code != ErrorCode::would_block)
            is_fatal(rolled.error(), "roll");
    } else if (what < 78) {
        co_await truncate();
    } else if (what < 82) {
        move_start();
    } else if (what < 90) {
        co_await read_something();
    } else if (what < 96) {
        co_await wait_until_durable();
    } else if (what < 99) {
        const Status done = co_await store_.checkpoint();
        if (!done) is_fatal(done.error(), "checkpoint");
    } else {
        co_await remove();
    }
}

void StorageProgram::Driver::create() {
    storage::NewLog wanted;
    wanted.name = {.topic = tested_.name, .partition = PartitionIndex{0}};
    for (uint8_t& byte : wanted.topic_id.bytes) byte = static_cast<uint8_t>(tested_.random.next());
    wanted.log_dir = kDirectory;
    wanted.config.segment_bytes = 6000;
    wanted.config.index_interval_bytes = 512;
    const Result<storage::Log*> made = store_.create_log(wanted);
    if (!made) {
        if (made.error().code != ErrorCode::would_block) is_fatal(made.error(), "create");
        return;
    }
    change({.kind = LogChange::Kind::create, .offset = Offset{0}, .batch = {}});
    adopt(*made);
}

std::vector<BatchFact> StorageProgram::Driver::own_batches() const {
    std::vector<BatchFact> own;
    for (const BatchFact& batch : tested_.model.now().batches) {
        const bool readable = batch.end() > tested_.model.now().start;
        if (readable && batch.producer == tested_.producer) own.push_back(batch);
    }
    return own;
}

Offset StorageProgram::Driver::lowest_kept() const {
    // The producer's last five batches stay, so that the model knows what its state must be.
    const std::vector<BatchFact> own = own_batches();
    if (own.empty()) return tested_.model.now().start;
    return own[own.size() - std::min<size_t>(own.size(), 5)].base;
}

Buffer StorageProgram::Driver::make_batch(ProducerId producer, int32_t sequence) {
    BatchOptions options;
    options.producer_id = producer;
    if (producer != kNoProducer) options.producer_epoch = ProducerEpoch{0};
    options.base_sequence = sequence;
    BatchBuilder builder(codecs_, options);
    const uint64_t records = tested_.random.between(1, 4);
    for (uint64_t i = 0; i < records; ++i) {
        const uint64_t filling = tested_.random.below(8) == 0 ? 3000 : 60;
        const size_t length = tested_.random.below(filling);
        const std::string value =
            fmt::format("{} {} {}", tested_.name, tested_.next_label++, std::string(length, 'v'));
        builder.append(ports_.runtime.wall_time(), std::nullopt, as_bytes(value));
    }
    Result<Buffer> batch = builder.finish();
    CHECK(batch.has_value(), "a plain batch is always built");
    return *std::move(batch);
}

Task<> StorageProgram::Driver::append() {
    const std::vector<BatchFact> own = own_batches();
    // Whether the log still knows a producer none of whose batches is left is its own affair.
    if (own.empty()) tested_.producer = ProducerId{tested_.producer.value() + 100};
    const uint64_t what = tested_.random.below(10);
    if (what < 3) {
        co_await append_bytes(make_batch(kNoProducer, kNoSequence), false);
    } else if (what < 5 && !own.empty()) {
        // The window is five batches, after a truncation it may be the last one only.
        const size_t window = tested_.truncated ? 1 : 5;
        const uint64_t back = tested_.random.below(std::min(own.size(), window));
        const auto before = world_.sent.find(own[own.size() - 1 - back].content);
        if (before != world_.sent.end()) co_await append_bytes(before->second, false);
    } else {
        const int32_t next =
            own.empty() ? 0 : sequence_after(own.back().sequence, own.back().records);
        const bool wrong = what == 9 && !own.empty();
        const int32_t sequence = wrong ? next + 3 : next;
        co_await append_bytes(make_batch(tested_.producer, sequence), wrong);
    }
}

Task<> StorageProgram::Driver::append_bytes(Buffer batch, bool out_of_sequence) {
    storage::AppendRequest request;
    request.batch = batch.span();
    request.leader_epoch = LeaderEpoch{static_cast<int32_t>(world_.process.starts())};
    const Result<storage::AppendResult> result = log_->append(request);
    if (!result) {
        const ErrorCode code = result.error().code;
        if (code == ErrorCode::would_block) co_await store_.wait_for_room(kDirectory);
        if (code == ErrorCode::would_block) co_return;
        if (code == ErrorCode::no_space && world_.may_be_full) {
            ++world_.refused;
            static_cast<void>(co_await ports_.runtime.sleep_for(kMillisecond * 10));
            co_return;
        }
        if (code == ErrorCode::out_of_order_sequence_number && out_of_sequence) {
            ++world_.refused;
            co_return;
        }
        is_fatal(result.error(), "append");
        co_return;
    }
    if (out_of_sequence) {
        world_.note_failure(tested_.name + ": a batch out of sequence was taken");
        co_return;
    }
    took(*result, batch);
}

void StorageProgram::Driver::took(const storage::AppendResult& result, const Buffer& batch) {
    BatchFact fact = fact_of(BatchView(batch.span()));
    fact.base = result.base_offset;
    for (const BatchFact& known : tested_.model.now().batches) {
        if (fact.producer == kNoProducer || known.content != fact.content) continue;
        const bool same = result.verdict == storage::AppendResult::Verdict::duplicate &&
                          result.base_offset == known.base;
        if (!same) {
            world_.note_failure(fmt::format("{}: the batch at {} was sent again and got {}",
                                            tested_.name, known.base.value(),
                                            result.base_offset.value()));
        }
        ++world_.duplicates;
        return;
    }
    const bool right = result.verdict == storage::AppendResult::Verdict::appended &&
                       result.base_offset == tested_.model.now().end &&
                       result.last_offset == fact.end() - 1;
    if (!right) {
        world_.note_failure(fmt::format("{}: appended at {}..{} when the end was {}", tested_.name,
                                        result.base_offset.value(), result.last_offset.value(),
                                        tested_.model.now().end.value()));
    }
    ++world_.appended;
    if (fact.producer != kNoProducer) world_.sent[fact.content] = batch;
    change({.kind = LogChange::Kind::append, .offset = {}, .batch = fact});
}

Task<> StorageProgram::Driver::truncate() {
    const LogState& now = tested_.model.now();
    const int64_t most = std::min<int64_t>(now.end - now.start, 12);
    const int64_t back =
        static_cast<int64_t>(tested_.random.between(0, static_cast<uint64_t>(most)));
    const Offset to = now.end - back;
    const LogChange cut{.kind = LogChange::Kind::truncate, .offset = to, .batch = {}};
    tested_.model.announce(cut);
    tested_.truncated = true;
    const Status done = co_await log_->truncate_to(to);
    if (!done) {
        is_fatal(done.error(), "truncate");
        co_return;
    }
    change(cut);
    if (log_->log_end() != tested_.model.now().end) {
        world_.note_failure(fmt::format("{}: truncated to {}, the end is {} and should be {}",
                                        tested_.name, to.value(), log_->log_end().value(),
                                        tested_.model.now().end.value()));
    }
}

void StorageProgram::Driver::move_start() {
    const LogState& now = tested_.model.now();
    const Offset highest = std::min(lowest_kept(), log_->durable_end());
    if (highest <= now.start) return;
    const uint64_t span = static_cast<uint64_t>(highest - now.start);
    const Offset to = now.start + static_cast<int64_t>(tested_.random.between(1, span));
    const Status done = log_->delete_before(to);
    if (!done) {
        if (done.error().code != ErrorCode::would_block) is_fatal(done.error(), "delete_before");
        return;
    }
    change({.kind = LogChange::Kind::move_start, .offset = to, .batch = {}});
}

Task<> StorageProgram::Driver::read_something() {
    const LogState now = tested_.model.now();
    const uint64_t span = static_cast<uint64_t>(now.end - now.start);
    const Offset from = now.start + static_cast<int64_t>(tested_.random.between(0, span));
    const size_t most = tested_.random.between(1, 9000);
    auto slice = log_->read(from, most, now.end, true);
    if (!slice && slice.error().code == ErrorCode::would_block) {
        slice = co_await log_->read_cold(from, most, now.end, true);
    }
    if (!slice) {
        is_fatal(slice.error(), "read");
        co_return;
    }
    const Buffer bytes = slice->bytes.flatten();
    BatchCursor cursor(bytes.span(), BatchCursor::Crc::check);
    auto expected = now.batches.begin();
    while (expected != now.batches.end() && expected->end() <= from) ++expected;
    if (bytes.empty() && expected != now.batches.end()) {
        world_.note_failure(
            fmt::format("{}: nothing at {} of {}", tested_.name, from.value(), now.describe()));
    }
    for (BatchStep step = cursor.next(); step == BatchStep::batch; step = cursor.next()) {
        const BatchFact fact = fact_of(cursor.batch());
        if (expected != now.batches.end() && fact == *expected) {
            ++expected;
            continue;
        }
        world_.note_failure(fmt::format("{}: read another batch at {} than was written",
                                        tested_.name, fact.base.value()));
        co_return;
    }
}

Task<> StorageProgram::Driver::wait_until_durable() {
    const Offset end = log_->log_end();
    for (int i = 0; i < 4000 && !program_.offline_; ++i) {
        if (log_->durable_end() >= end) co_return;
        static_cast<void>(co_await ports_.runtime.sleep_for(kMillisecond));
    }
    if (!program_.offline_ && !world_.may_be_full) {
        world_.note_failure(
            fmt::format("{}: {} is not durable after 4 s", tested_.name, end.value()));
    }
}

Task<> StorageProgram::Driver::remove() {
    const size_t index = change({.kind = LogChange::Kind::remove, .offset = {}, .batch = {}});
    storage::Log& log = *std::exchange(log_, nullptr);
    log.observe(nullptr);
    const Status done = co_await store_.delete_log(log);
    if (!done) {
        is_fatal(done.error(), "delete");
        co_return;
    }
    tested_.model.durable_through(index);
}

// ---- the program

StorageProgram::StorageProgram(StorageWorld& world, Process& process)
    : world_(world), ports_(process.all_ports()) {
    for (const Ports& ports : ports_) {
        stores_.push_back(std::make_unique<storage::LogStore>(ports, world.settings));
    }
    for (auto& [name, tested] : world.logs) {
        const uint32_t owner = owner_of(name);
        drivers_.push_back(std::make_unique<Driver>(*this, tested, ports_[owner], *stores_[owner]));
    }
    ports_[0].runtime.spawn(boot_and_watch());
}

StorageProgram::~StorageProgram() = default;

uint32_t StorageProgram::owner_of(const std::string& name) const {
    return static_cast<uint32_t>(hash_of(name) % ports_.size());
}

Task<> StorageProgram::boot_and_watch() {
    const Status booted = co_await boot();
    if (!booted) {
        world_.note_failure(fmt::format("a start failed: {} {}", name_of(booted.error().code),
                                        booted.error().detail));
        co_return;
    }
    serving_ = true;
    while (!stopping_) {
        static_cast<void>(co_await ports_[0].runtime.sleep_for(kMillisecond * 30));
        if (stopping_ || offline_) continue;
        const Status written = co_await write_checkpoints();
        if (!written && !may_refuse(written.error())) {
            world_.note_failure("checkpoints were not written: " + written.error().detail);
        }
    }
    while (drivers_running_ != 0) {
        static_cast<void>(co_await ports_[0].runtime.sleep_for(kMillisecond));
    }
    if (offline_) co_return;
    const Status stopped = co_await stop();
    if (!stopped && !may_refuse(stopped.error())) {
        world_.note_failure("a clean stop failed: " + stopped.error().detail);
    }
    if (!stopped) offline_ = true;
    stopped_ = stopped.has_value();
}

/// Trouble of the disk that is drawn for this round.
bool StorageProgram::may_refuse(const Error& error) const {
    const bool full = error.code == ErrorCode::no_space || stopping_;
    return world_.may_fail || (world_.may_be_full && full);
}

/// As a broker does it now and then: synced by every shard, then the checkpoint files.
Task<Status> StorageProgram::write_checkpoints() {
    std::vector<storage::LogCheckpoint> checkpoints;
    for (uint32_t i = 0; i < ports_.size(); ++i) {
        auto start = [this, i](Runtime&) { return stores_[i]->checkpoint(); };
        CO_TRY_STATUS(co_await call_on(ports_[0].runtime, ShardIndex{i}, start));
        for (auto& checkpoint : stores_[i]->checkpoints(kDirectory)) {
            checkpoints.push_back(std::move(checkpoint));
        }
    }
    co_return co_await directory_->write_checkpoints(std::move(checkpoints));
}

Task<Status> StorageProgram::boot() {
    CO_TRY(directory_,
           co_await storage::LogDirectory::open(ports_[0], kDirectory, world_.settings));
    if (directory_->is_empty()) {
        storage::MetaProperties meta;
        meta.cluster_id = "simulated";
        meta.node_id = BrokerId{1};
        meta.directory_id.bytes.fill(7);
        CO_TRY_STATUS(co_await directory_->format(meta));
    }
    CO_TRY_STATUS(co_await directory_->recover());
    for (uint32_t i = 0; i < ports_.size(); ++i) {
        auto start = [this, i](Runtime&) { return open_shard(i); };
        CO_TRY_STATUS(co_await call_on(ports_[0].runtime, ShardIndex{i}, start));
    }
    CO_TRY_STATUS(co_await directory_->begin_serving());
    ++world_.recoveries;
    size_t index = 0;
    for (auto& [name, tested] : world_.logs) {
        Driver& driver = *drivers_[index++];
        ++drivers_running_;
        ports_[owner_of(name)].runtime.spawn(driver.run());
    }
    co_return Status{};
}

Task<Status> StorageProgram::open_shard(uint32_t shard) {
    storage::LogStore& store = *stores_[shard];
    CO_TRY_STATUS(co_await store.open({directory_->served()}));
    size_t index = 0;
    for (auto& [name, tested] : world_.logs) {
        Driver& driver = *drivers_[index++];
        if (owner_of(name) != shard) continue;
        storage::Log* log = nullptr;
        for (const storage::FoundLog& found : directory_->logs()) {
            if (found.name.topic != name) continue;
            storage::LogConfig config;
            config.segment_bytes = 6000;
            config.index_interval_bytes = 512;
            CO_TRY(log, co_await store.open_log(found, config));
        }
        driver.adopt(log);
        CO_TRY_STATUS(co_await driver.check_recovered());
    }
    co_return Status{};
}

Task<Status> StorageProgram::close_shard(uint32_t shard) {
    for (storage::Log* log : stores_[shard]->logs()) log->observe(nullptr);
    co_return co_await stores_[shard]->close();
}

Task<Status> StorageProgram::stop() {
    std::vector<storage::LogCheckpoint> checkpoints;
    for (uint32_t i = 0; i < ports_.size(); ++i) {
        auto start = [this, i](Runtime&) { return close_shard(i); };
        CO_TRY_STATUS(co_await call_on(ports_[0].runtime, ShardIndex{i}, start));
        for (auto& checkpoint : stores_[i]->checkpoints(kDirectory)) {
            checkpoints.push_back(std::move(checkpoint));
        }
    }
    CO_TRY_STATUS(co_await directory_->close(std::move(checkpoints), BrokerEpoch{1}));
    for (auto& [name, tested] : world_.logs) {
        if (tested.model.changes() > 0) tested.model.durable_through(tested.model.changes() - 1);
    }
    co_return Status{};
}

}  // namespace ottla::sim
