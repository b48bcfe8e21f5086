// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/echo.h"

#include <fmt/format.h>

#include <cstring>

namespace ottla::echo {

namespace {

void put32(std::string& out, uint32_t value) {
    for (unsigned shift : {24U, 16U, 8U, 0U}) out += static_cast<char>((value >> shift) & 0xffU);
}

uint32_t get32(std::string_view bytes) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8U | static_cast<uint8_t>(bytes[i]);
    return value;
}

/// FNV-1a; enough to tell torn entries from whole ones.
uint32_t checksum(std::string_view bytes) {
    uint32_t hash = 2166136261U;
    for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
    return hash;
}

/// Bytes of the first entry of `file`, 0 if it does not hold.
size_t entry_at(std::string_view file) {
    if (file.size() < 8) return 0;
    const uint32_t length = get32(file);
    if (length == 0 || length > kLargestFrame || file.size() - 8 < length) return 0;
    return checksum(file.substr(8, length)) == get32(file.substr(4)) ? 8 + length : 0;
}

/// Waits for one whole frame; `pending` keeps what came behind it.
Task<Result<std::string>> read_frame(Stream& stream, std::string& pending) {
    while (pending.size() < 4) {
        CO_TRY(Buffer piece, co_await stream.read());
        pending += piece.text();
    }
    const uint32_t length = get32(pending);
    if (length == 0 || length > kLargestFrame) co_return fail(ErrorCode::malformed, "frame length");
    const size_t whole = 4 + size_t{length};
    if (pending.size() < whole) {
        // The rest of a partial frame goes into a block of its own.
        BlockRef block = make_block(whole);
        std::memcpy(block->data(), pending.data(), pending.size());
        size_t have = pending.size();
        while (have < whole) {
            CO_TRY(size_t count, co_await stream.read_into(block, have, whole - have));
            have += count;
        }
        pending.assign(as_text({block->data(), whole}));
    }
    std::string payload = pending.substr(4, length);
    pending.erase(0, whole);
    co_return payload;
}

}  // namespace

std::string frame_of(std::string_view payload) {
    std::string frame;
    put32(frame, static_cast<uint32_t>(payload.size()));
    frame += payload;
    return frame;
}

std::vector<std::string> entries_of(std::string_view file) {
    std::vector<std::string> entries;
    for (size_t size = entry_at(file); size != 0; size = entry_at(file)) {
        entries.emplace_back(file.substr(8, size - 8));
        file.remove_prefix(size);
    }
    return entries;
}

struct Server::Shard {
    explicit Shard(Ports p)
        : ports(p), appending(p.runtime, 1), gate(p.runtime), started(p.runtime) {}
    Ports ports;
    Budget appending;
    Gate gate;
    std::unique_ptr<File> file;
    uint64_t end = 0;
    std::unique_ptr<Listener> listener;
    std::vector<Stream*> streams;
    Event started;
    bool has_started = false;
};

Server::Server(std::vector<Ports> shards, std::string directory, Endpoint endpoint)
    : directory_(std::move(directory)), endpoint_(std::move(endpoint)) {
    for (const Ports& ports : shards) shards_.push_back(std::make_unique<Shard>(ports));
}

Server::~Server() = default;

Task<Status> Server::open_file(Shard& shard) {
    FileSystem& files = shard.ports.files;
    const std::string path =
        fmt::format("{}/echo-{}.log", directory_, shard.ports.runtime.shard().value());
    OpenOptions options;
    options.write = true;
    options.create = true;
    CO_TRY(shard.file, co_await files.open(path, options));
    CO_TRY(FileStatus status, co_await files.status(path));
    BlockRef block = make_block(status.size + 1);
    CO_TRY(size_t size, co_await shard.file->read(0, status.size, block));
    std::string_view left = as_text({block->data(), size});
    for (size_t entry = entry_at(left); entry != 0; entry = entry_at(left)) {
        left.remove_prefix(entry);
        shard.end += entry;
    }
    co_return co_await files.sync_directory(directory_);
}

Task<Status> Server::start(Shard& shard) {
    CO_TRY_STATUS(co_await open_file(shard));
    CO_TRY(shard.listener, shard.ports.transport.listen(endpoint_, 64));
    if (shard.ports.runtime.shard() == ShardIndex{0}) local_ = shard.listener->local();
    co_return Status{};
}

Task<> Server::until_started(ShardIndex index) {
    Shard& shard = *shards_.at(index.value());
    while (!shard.has_started) (void)co_await shard.started.wait();
}

Task<Status> Server::serve(ShardIndex index) {
    Shard& shard = *shards_.at(index.value());
    const Status started = co_await start(shard);
    shard.has_started = true;
    shard.started.notify_all();
    CO_TRY_STATUS(started);
    while (true) {
        Result<std::unique_ptr<Stream>> stream = co_await shard.listener->accept();
        if (!stream) co_return Status{};
        shard.ports.runtime.spawn(serve_connection(shard, *std::move(stream)));
    }
}

Task<> Server::stop(ShardIndex index) {
    Shard& shard = *shards_.at(index.value());
    if (shard.listener) shard.listener->close();
    for (Stream* stream : shard.streams) stream->close();
    co_await shard.gate.close();
}

Task<> Server::serve_connection(Shard& shard, std::unique_ptr<Stream> stream) {
    const Gate::Pass pass = shard.gate.enter();
    if (!pass) co_return;
    shard.streams.push_back(stream.get());
    std::string pending;
    while (true) {
        Result<std::string> payload = co_await read_frame(*stream, pending);
        if (!payload) break;
        const Status answered = co_await answer(shard, *stream, *std::move(payload));
        if (!answered) break;
    }
    stream->close();
    std::erase(shard.streams, stream.get());
}

Task<Status> Server::answer(Shard& shard, Stream& stream, std::string payload) {
    Runtime& here = shard.ports.runtime;
    const ShardIndex owner{static_cast<uint8_t>(payload[0]) % here.shard_count()};
    Shard& there = *shards_.at(owner.value());
    auto start = [&there, &payload](Runtime&) { return append(there, payload); };
    CO_TRY_STATUS(co_await call_on(here, owner, start));
    CO_TRY_STATUS(co_await stream.write(Chain(Buffer::copy_of(frame_of(payload)))));
    co_return Status{};
}

Task<Status> Server::append(Shard& shard, std::string payload) {
    CO_TRY_STATUS(co_await shard.appending.take(1));
    if (!shard.file) {
        shard.appending.give_back(1);
        co_return fail(ErrorCode::not_found, "this shard has not opened its file yet");
    }
    std::string entry;
    put32(entry, static_cast<uint32_t>(payload.size()));
    put32(entry, checksum(payload));
    entry += payload;
    const Result<size_t> wrote =
        co_await shard.file->write(shard.end, Chain(Buffer::copy_of(entry)));
    if (!wrote) {
        shard.appending.give_back(1);
        co_return std::unexpected(wrote.error());
    }
    const Result<size_t> synced = co_await shard.file->sync();
    // After a failed sync nothing of this entry is certain, and the next one goes in its place.
    if (synced) shard.end += entry.size();
    shard.appending.give_back(1);
    if (!synced) co_return std::unexpected(synced.error());
    co_return Status{};
}

Task<Result<std::string>> Client::exchange(std::string payload, Instant deadline) {
    if (!stream_) {
        CO_TRY(stream_, co_await ports_.transport.connect(endpoint_, deadline));
    }
    CO_TRY_STATUS(co_await with_deadline(
        ports_.runtime, stream_->write(Chain(Buffer::copy_of(frame_of(payload)))), deadline));
    std::string answer;
    const std::string expected = frame_of(payload);
    while (answer.size() < expected.size()) {
        CO_TRY(Buffer piece, co_await with_deadline(ports_.runtime, stream_->read(), deadline));
        answer += piece.text();
    }
    if (answer != expected) co_return fail(ErrorCode::corrupt, "another frame came back");
    co_return answer.substr(4);
}

Task<Result<std::string>> Client::call(std::string payload, Instant deadline) {
    Result<std::string> answer = co_await exchange(std::move(payload), deadline);
    if (!answer && stream_) {
        stream_->close();
        stream_.reset();
    }
    co_return answer;
}

}  // namespace ottla::echo
