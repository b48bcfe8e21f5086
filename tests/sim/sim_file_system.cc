// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_file_system.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <tuple>

namespace ottla::sim {

namespace {

constexpr std::array<const char*, 6> kFileWords = {"read",     "write", "allocate",
                                                   "truncate", "sync",  "check"};
constexpr std::array<const char*, 13> kNameWords = {
    "open",   "status", "list",           "make_directory", "remove_directory",
    "rename", "unlink", "sync_directory", "sync_all",       "space",
    "lock",   "put",    "check"};

/// Does it change or sync something?
bool changes(const FileSystemOp& op) {
    using Kind = FileSystemOp::Kind;
    if (op.kind == Kind::open) return op.options.create || op.options.truncate;
    return op.kind != Kind::status && op.kind != Kind::list && op.kind != Kind::space &&
           op.kind != Kind::lock;
}

bool is_aligned(uint64_t value) { return value % kDirectAlignment == 0; }

bool is_aligned(const FileOp& op) {
    if (!is_aligned(op.position)) return false;
    if (op.kind == FileOp::Kind::read) {
        const auto address = std::bit_cast<uintptr_t>(op.into->data() + op.into_offset);
        return is_aligned(op.length) && is_aligned(address);
    }
    if (op.kind != FileOp::Kind::write) return true;
    if (op.staged) return is_aligned(op.length);
    for (const Buffer& piece : op.bytes.pieces()) {
        if (!is_aligned(piece.size())) return false;
        if (!is_aligned(std::bit_cast<uintptr_t>(piece.data()))) return false;
    }
    return true;
}

}  // namespace

class SimFile final : public File {
public:
    SimFile(SimFileSystem& files, NodeRef node, const OpenOptions& options)
        : files_(files),
          node_(std::move(node)),
          options_(options),
          opened_size_(node_->content.size()) {
        const bool buffered = files.disk_.faults.direct == DirectIo::opened_buffered;
        if (buffered && options.lane == IoLane::bulk) options_.direct = false;
    }
    ~SimFile() override { files_.disk_.closed(node_); }

    void start(FileOp& op) override {
        const bool refused = files_.disk_.faults.direct == DirectIo::refused && options_.direct &&
                             options_.lane == IoLane::bulk && op.kind == FileOp::Kind::write;
        files_.start_file(op, node_, options_.direct, options_.write && !refused);
    }
    Result<size_t> read_cached(uint64_t position, std::span<std::byte> into) override {
        CHECK(!options_.direct, "a direct file has nothing cached");
        SimDisk& disk = files_.disk_;
        if (disk.random().chance(disk.faults.cache_miss)) return fail(ErrorCode::would_block);
        return node_->content.read(position, into);
    }
    bool is_direct() const override { return options_.direct; }
    uint64_t opened_size() const override { return opened_size_; }

private:
    SimFileSystem& files_;
    NodeRef node_;
    OpenOptions options_;
    uint64_t opened_size_;
};

namespace {

class SimLock final : public FileLock {
public:
    SimLock(SimDisk& disk, std::string path, uint64_t holder)
        : disk_(disk), path_(std::move(path)), holder_(holder) {}
    ~SimLock() override { disk_.unlock(path_, holder_); }

private:
    SimDisk& disk_;
    std::string path_;
    uint64_t holder_;
};

}  // namespace

Duration SimFileSystem::duration_of(uint64_t bytes, bool is_sync) {
    const DiskFaults& faults = disk_.faults;
    const auto typical = static_cast<uint64_t>((is_sync ? faults.sync : faults.operation).count());
    uint64_t span = disk_.random().between(typical / 2, typical * 2);
    span += static_cast<uint64_t>(faults.per_mebibyte.count()) * bytes / (uint64_t{1} << 20U);
    if (disk_.random().chance(faults.slow_operation)) {
        span += static_cast<uint64_t>(faults.slow_by.count());
    }
    return Duration{static_cast<int64_t>(span)};
}

void SimFileSystem::trace(uint64_t what, uint64_t node, uint64_t position, uint64_t extra) {
    runtime_.world().trace(what << 32U | node, position, extra);
}

void SimFileSystem::start_file(FileOp& op, const NodeRef& node, bool direct, bool writable) {
    op.begin(*this);
    if (dead_) return;
    const bool changes = op.kind == FileOp::Kind::write || op.kind == FileOp::Kind::allocate ||
                         op.kind == FileOp::Kind::truncate;
    if ((direct && !is_aligned(op)) || (changes && !writable)) {
        op.set_error({ErrorCode::invalid_argument, "misaligned, or not open for writing"});
        runtime_.ready(op);
        return;
    }
    const uint64_t id = next_call_++;
    FileCall& call = file_calls_[id];
    call.op.push_back(op);
    call.node = node;
    call.kind = op.kind;
    call.position = op.position;
    call.length = op.length;
    call.bytes = op.bytes;
    call.began_at_version = disk_.version();
    call.started = runtime_.world().now();
    const bool moves = op.kind == FileOp::Kind::read || op.kind == FileOp::Kind::write;
    const Duration span = duration_of(moves ? op.length : 0, op.kind == FileOp::Kind::sync);
    runtime_.world().schedule_in(span, EventKind::disk, [this, id] { complete_file(id); });
}

void SimFileSystem::start(FileSystemOp& op) {
    op.begin(*this);
    if (dead_) return;
    const uint64_t id = next_call_++;
    NameCall& call = name_calls_[id];
    call.op.push_back(op);
    call.began_at_version = disk_.version();
    call.started = runtime_.world().now();
    const bool is_sync =
        op.kind == FileSystemOp::Kind::sync_directory || op.kind == FileSystemOp::Kind::sync_all;
    runtime_.world().schedule_in(duration_of(0, is_sync), EventKind::disk,
                                 [this, id] { complete_name(id); });
}

void SimFileSystem::complete_file(uint64_t id) {
    const auto at = file_calls_.find(id);
    if (at == file_calls_.end() || at->second.op.empty()) return;
    const FileOp::Kind kind = at->second.kind;
    std::optional<ErrorCode> struck;
    if (kind != FileOp::Kind::read) struck = disk_.count_operation();
    if (disk_.stands_still()) return;
    auto call = file_calls_.extract(at);
    auto& op = static_cast<FileOp&>(call.mapped().op.pop_front());
    const Status done = perform(call.mapped(), op, struck);
    if (!done) op.set_error(done.error());
    trace(static_cast<uint64_t>(kind), call.mapped().node->id, op.position,
          op.transferred + (done ? 0 : 1));
    if (runtime_.world().verbose()) {
        runtime_.world().note(fmt::format(
            "p{} {} {} at {} length {}{}", lock_holder_, kFileWords[static_cast<size_t>(kind)],
            call.mapped().node->path, op.position, op.length, done ? "" : " FAILED"));
    }
    if (done && op.then_sync && kind == FileOp::Kind::write) {
        // Another event: power may go between the two.
        call.mapped().kind = FileOp::Kind::sync;
        call.mapped().began_at_version = disk_.version();
        call.mapped().op.push_back(op);
        file_calls_.insert(std::move(call));
        runtime_.world().schedule_in(duration_of(0, true), EventKind::disk,
                                     [this, id] { complete_file(id); });
        return;
    }
    runtime_.ready(op);
}

Status SimFileSystem::perform(FileCall& call, FileOp& op, std::optional<ErrorCode> struck) {
    SimDisk& disk = disk_;
    const std::string& path = call.node->path;
    const auto planned = struck ? struck : disk.planned_failure(true, call.kind, {}, path);
    switch (call.kind) {
        case FileOp::Kind::read: {
            if (planned || disk.goes_wrong(disk.faults.read_error, path)) {
                return fail(planned.value_or(ErrorCode::io_error), "read " + path);
            }
            const std::span<std::byte> into(op.into->data() + op.into_offset, op.length);
            CHECK(op.into_offset + op.length <= op.into->capacity(), "a read fits its block");
            op.transferred = call.node->content.read(op.position, into);
            disk.read_bytes[path] += op.transferred;
            op.run_work();
            return {};
        }
        case FileOp::Kind::write: {
            const Buffer all = call.bytes.flatten();
            TRY_STATUS(write(call.node, op.position, all.span(), planned));
            op.transferred = all.size();
            return {};
        }
        case FileOp::Kind::allocate:
            if (planned) return fail(*planned, "allocate " + call.node->path);
            return disk.allocate(call.node, op.position, op.length, disk.next_version());
        case FileOp::Kind::truncate:
            if (planned) return fail(*planned, "truncate " + call.node->path);
            disk.truncate(call.node, op.length, disk.next_version());
            return {};
        case FileOp::Kind::sync:
            if (planned || disk.goes_wrong(disk.faults.sync_error, path) ||
                std::exchange(call.node->write_back_failed, false)) {
                disk.lose(call.node, call.began_at_version);
                return fail(ErrorCode::io_error, "sync " + path);
            }
            disk.sync(call.node, call.began_at_version);
            return {};
        case FileOp::Kind::check: return check(call.node, call.began_at_version, planned);
    }
    return {};
}

Status SimFileSystem::write(const NodeRef& node,
                            uint64_t position,
                            std::span<const std::byte> bytes,
                            std::optional<ErrorCode> planned) {
    SimDisk& disk = disk_;
    const WallTime now = runtime_.wall_time();
    const bool fails = planned || disk.goes_wrong(disk.faults.write_error, node->path);
    const uint64_t version = disk.next_version();
    uint64_t wanted = bytes.size();
    if (fails && wanted > 0) wanted = disk.random().below(wanted);
    const size_t wrote = disk.write(node, position, bytes.first(wanted), version, now);
    if (fails) return fail(planned.value_or(ErrorCode::io_error), "write " + node->path);
    if (wrote < bytes.size()) return fail(ErrorCode::no_space, "write " + node->path);
    runtime_.world().trace(hash_of(bytes));
    return {};
}

/// It syncs nothing: who believes it without a sweep loses everything with the power.
Status SimFileSystem::check(const NodeRef& node,
                            uint64_t began_at_version,
                            std::optional<ErrorCode> planned) {
    const bool drawn = disk_.goes_wrong(disk_.faults.sync_error, node->path);
    const bool lost = std::exchange(node->write_back_failed, false);
    if (!planned && !drawn && !lost) return {};
    disk_.lose(node, began_at_version);
    return fail(ErrorCode::io_error, "write back " + node->path);
}

/// Made or emptied first, written with the next event: power may go between the two.
Status SimFileSystem::put(FileSystemOp& op, NameCall& call, std::optional<ErrorCode> planned) {
    if (call.opened == nullptr) {
        if (planned) return fail(*planned, op.path);
        const OpenOptions options{.write = true, .create = true, .truncate = true};
        TRY(call.opened, disk_.open(op.path, options, runtime_.wall_time()));
        return {};
    }
    const NodeRef node = std::exchange(call.opened, nullptr);
    const Status written = write(node, 0, op.content.span(), planned);
    disk_.closed(node);
    return written;
}

void SimFileSystem::complete_name(uint64_t id) {
    const auto at = name_calls_.find(id);
    if (at == name_calls_.end() || at->second.op.empty()) return;
    std::optional<ErrorCode> struck;
    const auto& waiting = static_cast<const FileSystemOp&>(at->second.op.front());
    if (changes(waiting)) struck = disk_.count_operation();
    if (disk_.stands_still()) return;
    auto call = name_calls_.extract(at);
    auto& op = static_cast<FileSystemOp&>(call.mapped().op.pop_front());
    const Status done = perform(op, call.mapped(), struck);
    if (!done) op.set_error(done.error());
    trace(16 + static_cast<uint64_t>(op.kind), 0, hash_of(op.path),
          static_cast<uint64_t>(static_cast<int64_t>(op.error().code)));
    if (runtime_.world().verbose()) {
        runtime_.world().note(fmt::format("p{} {} {} {}{}", lock_holder_,
                                          kNameWords[static_cast<size_t>(op.kind)], op.path, op.to,
                                          done ? "" : " " + std::string(name_of(op.error().code))));
    }
    if (call.mapped().opened != nullptr && !op.content.empty()) {
        const Duration span = duration_of(op.content.size(), false);
        call.mapped().op.push_back(op);
        name_calls_.insert(std::move(call));
        runtime_.world().schedule_in(span, EventKind::disk, [this, id] { complete_name(id); });
        return;
    }
    if (call.mapped().opened != nullptr) disk_.closed(call.mapped().opened);
    runtime_.ready(op);
}

Status SimFileSystem::perform(FileSystemOp& op, NameCall& call, std::optional<ErrorCode> struck) {
    using Kind = FileSystemOp::Kind;
    const auto planned = struck ? struck : disk_.planned_failure(false, {}, op.kind, op.path);
    const bool syncs = op.kind == Kind::sync_directory && disk_.faults.sync_error != 0;
    const bool fails = planned || (syncs && disk_.goes_wrong(disk_.faults.sync_error, op.path));
    const bool of_bytes = op.kind == Kind::put || op.kind == Kind::check;
    if (fails && !of_bytes) return fail(planned.value_or(ErrorCode::io_error), op.path);
    switch (op.kind) {
        case Kind::put: return put(op, call, planned);
        case Kind::check: {
            TRY(const NodeRef node, disk_.open(op.path, OpenOptions{}, runtime_.wall_time()));
            disk_.closed(node);
            return check(node, call.began_at_version, planned);
        }
        case Kind::open: {
            TRY(NodeRef node, disk_.open(op.path, op.options, runtime_.wall_time()));
            op.file = std::make_unique<SimFile>(*this, std::move(node), op.options);
            return {};
        }
        case Kind::status: {
            TRY(op.file_status, disk_.status(op.path));
            return {};
        }
        case Kind::list: {
            TRY(op.entries, disk_.list(op.path));
            ++disk_.listings[op.path];
            return {};
        }
        case Kind::sync_directory: return disk_.sync_directory(op.path, call.began_at_version);
        case Kind::sync_all: disk_.sync_all(call.began_at_version); return {};
        case Kind::space: op.space = {disk_.free_space(), disk_.capacity()}; return {};
        case Kind::lock:
            TRY_STATUS(disk_.lock(op.path, lock_holder_, runtime_.wall_time()));
            op.file_lock = std::make_unique<SimLock>(disk_, op.path, lock_holder_);
            return {};
        default: return change_names(op);
    }
}

Status SimFileSystem::change_names(FileSystemOp& op) {
    using Kind = FileSystemOp::Kind;
    switch (op.kind) {
        case Kind::make_directory: return disk_.make_directory(op.path);
        case Kind::remove_directory: return disk_.remove_directory(op.path);
        case Kind::rename: return disk_.rename(op.path, op.to);
        case Kind::unlink: return disk_.unlink(op.path);
        default: return fail(ErrorCode::invalid_argument, op.path);
    }
}

void SimFileSystem::cancel(Op& op) noexcept {
    // Before a thread took it: as long as it waits, which half of the operations still do.
    if (dead_ || !disk_.random().chance(500'000)) return;
    op.unlink();
    std::erase_if(file_calls_, [](const auto& call) { return call.second.op.empty(); });
    for (auto at = name_calls_.begin(); at != name_calls_.end();) {
        const bool gone = at->second.op.empty();
        if (gone && at->second.opened != nullptr) disk_.closed(at->second.opened);
        at = gone ? name_calls_.erase(at) : std::next(at);
    }
    op.set_error({ErrorCode::cancelled, {}});
    runtime_.ready(op);
}

void SimFileSystem::settle_write(const NodeRef& node, uint64_t position, const Buffer& all) {
    Random& random = disk_.random();
    const uint64_t version = disk_.next_version();
    const WallTime now = runtime_.wall_time();
    const uint64_t how = random.below(4);
    if (how == 0) return;
    if (how == 1) {
        disk_.write(node, position, all.span(), version, now);
        return;
    }
    if (how == 2) {
        const uint64_t prefix = random.between(0, all.size());
        disk_.write(node, position, all.span().first(prefix), version, now);
        return;
    }
    size_t done = 0;
    while (done < all.size()) {
        const uint64_t at = position + done;
        const size_t piece = std::min<size_t>(all.size() - done, kSectorSize - at % kSectorSize);
        const auto sector = all.span().subspan(done, piece);
        if (random.chance(500'000)) disk_.write(node, at, sector, version, now);
        done += piece;
    }
}

void SimFileSystem::settle_name(NameCall& call) {
    using Kind = FileSystemOp::Kind;
    auto& op = static_cast<FileSystemOp&>(call.op.front());
    if (call.opened != nullptr) {
        settle_write(call.opened, 0, op.content);
        disk_.closed(call.opened);
        return;
    }
    if (!disk_.random().chance(500'000)) return;
    switch (op.kind) {
        case Kind::open: {
            const auto node = disk_.open(op.path, op.options, runtime_.wall_time());
            if (node) disk_.closed(*node);
            return;
        }
        case Kind::put: {
            const OpenOptions options{.write = true, .create = true, .truncate = true};
            const auto node = disk_.open(op.path, options, runtime_.wall_time());
            if (node) settle_write(*node, 0, op.content);
            if (node) disk_.closed(*node);
            return;
        }
        case Kind::sync_directory:
            std::ignore = disk_.sync_directory(op.path, call.began_at_version);
            return;
        case Kind::sync_all: disk_.sync_all(call.began_at_version); return;
        default: std::ignore = change_names(op); return;
    }
}

void SimFileSystem::die() {
    dead_ = true;
    for (auto& [id, call] : file_calls_) {
        if (call.op.empty()) continue;
        if (call.kind == FileOp::Kind::write) {
            settle_write(call.node, call.position, call.bytes.flatten());
        }
        const bool happened = disk_.random().chance(500'000);
        if (!happened) continue;
        const uint64_t version = disk_.next_version();
        if (call.kind == FileOp::Kind::truncate) disk_.truncate(call.node, call.length, version);
        if (call.kind == FileOp::Kind::allocate) {
            std::ignore = disk_.allocate(call.node, call.position, call.length, version);
        }
        if (call.kind == FileOp::Kind::sync) disk_.sync(call.node, call.began_at_version);
    }
    for (auto& [id, call] : name_calls_) {
        if (!call.op.empty()) settle_name(call);
    }
    file_calls_.clear();
    name_calls_.clear();
    disk_.forget_untold();
}

}  // namespace ottla::sim
