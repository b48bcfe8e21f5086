// SPDX-License-Identifier: Apache-2.0
#include "storage/journal_replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "ottla/fan_out.h"
#include "storage/atomic_file.h"
#include "storage/file_names.h"

namespace ottla::storage {
namespace {

constexpr std::string_view kRetiredPrefix = ".ottla-retired-";
constexpr uint64_t kWindowBytes = 4ULL * 1024 * 1024;
constexpr size_t kFilesAtOnce = 4;
/// More than most groups are.
constexpr uint64_t kFrontBytes = 128ULL * 1024;
/// More than one group can hold: a larger length is not a length.
constexpr uint64_t kMostGroup = 512ULL * 1024 * 1024;

std::string retired_path(const std::string& directory, ShardIndex shard) {
    return join_path(directory, fmt::format("{}{}", kRetiredPrefix, shard.value()));
}

/// Finds the intact groups of one file.
class GroupScanner {
public:
    GroupScanner(std::unique_ptr<File> file, uint64_t size) : file_(std::move(file)), size_(size) {}

    Task<Status> scan(std::vector<ReplayGroup>& found, size_t index) {
        uint64_t at = 0;
        while (at + kGroupHeaderBytes <= size_) {
            CO_TRY(const auto head, co_await bytes_at(at, kGroupHeaderBytes));
            const auto header = read_group_header(head);
            if (!header || kGroupHeaderBytes + header->payload_bytes > size_ - at ||
                header->payload_bytes > kMostGroup) {
                at += kJournalBlockBytes;
                continue;
            }
            CO_TRY(const auto group,
                   co_await bytes_at(at, kGroupHeaderBytes + header->payload_bytes));
            if (!group_is_intact(group, *header)) {
                at += kJournalBlockBytes;
                continue;
            }
            found.push_back({index, at, *header});
            at += header->blocks_bytes();
        }
        co_return Status();
    }

private:
    Task<Result<std::span<const std::byte>>> bytes_at(uint64_t position, uint64_t length) {
        if (position < window_at_ || position + length > window_at_ + window_.size()) {
            const uint64_t wanted = std::min(size_ - position, std::max(length, kWindowBytes));
            BlockRef block = make_block(wanted);
            CO_TRY(const size_t got, co_await file_->read(position, wanted, block));
            window_ = Buffer{std::move(block), 0, got};
            window_at_ = position;
        }
        const uint64_t skip = position - window_at_;
        if (skip + length > window_.size()) {
            co_return fail(ErrorCode::io_error, "a journal file became shorter");
        }
        co_return window_.span().subspan(skip, length);
    }

    std::unique_ptr<File> file_;
    uint64_t size_;
    Buffer window_;
    uint64_t window_at_ = 0;
};

/// Groups of the chain are in order; the one that should stand before the `at`th is not intact.
Error broken(const JournalChain& chain, size_t at, uint64_t group, std::string_view why) {
    const ReplayGroup& next = chain.groups[at];
    std::string where = chain.paths[next.file];
    if (at > 0 && chain.groups[at - 1].file != next.file) {
        where = fmt::format("{} or {}", chain.paths[chain.groups[at - 1].file], where);
    }
    return {ErrorCode::corrupt,
            fmt::format("{}: journal group {} {}, although group {} is there at byte {}; the "
                        "directory stays offline",
                        where, group, why, next.header.sequence, next.position)};
}

/// Leaves what has to be replayed, in order, or says what is missing.
Status order_groups(JournalChain& chain, TestFaults faults) {
    auto& groups = chain.groups;
    std::sort(groups.begin(), groups.end(), [](const ReplayGroup& a, const ReplayGroup& b) {
        return a.header.sequence < b.header.sequence;
    });
    const ReplayGroup newest = groups.back();
    std::vector<ReplayGroup> stale;
    if (faults.replay_recycled_block) {
        for (const ReplayGroup& group : groups) {
            if (group.file == newest.file && group.position > newest.position) {
                stale.push_back(group);
            }
        }
    }
    std::erase_if(groups, [&newest](const ReplayGroup& group) {
        return group.header.sequence < newest.header.oldest_needed;
    });
    uint64_t expected = newest.header.oldest_needed;
    for (size_t i = 0; i < groups.size(); ++i, ++expected) {
        if (groups[i].header.sequence != expected) {
            return std::unexpected(broken(chain, i, expected, "is damaged or missing"));
        }
        if (i > 0 && groups[i].header.previous_crc != groups[i - 1].header.crc) {
            return std::unexpected(broken(chain, i, expected, "does not follow the one before it"));
        }
    }
    if (faults.forget_last_journal_group) groups.pop_back();
    groups.insert(groups.end(), stale.begin(), stale.end());
    return {};
}

struct ShardFiles {
    std::vector<std::string> paths;
    std::set<uint64_t> retired;
};

Task<Result<std::set<uint64_t>>> read_retired(FileSystem& files, std::string path) {
    std::set<uint64_t> ids;
    CO_TRY(const Buffer text, co_await read_file(files, path, 4096));
    uint64_t id = 0;
    const std::string_view digits = text.text();
    const auto [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), id, 16);
    if (error == std::errc{}) ids.insert(id);
    co_return ids;
}

/// What is known of one file of a chain.
struct ScannedFile {
    /// Of the group that it begins with, if that is intact: it says which use of the file this is.
    std::optional<ReplayGroup> front;
    std::vector<ReplayGroup> groups;
    bool scanned = false;
};

/// Reads the files of one shard, as few as it can.
class ChainScan {
public:
    ChainScan(Ports ports, const std::vector<std::string>& paths)
        : ports_(ports), paths_(paths), files_(paths.size()) {}

    Task<Status> read_fronts() {
        auto each = [this](size_t i) { return read_front(i); };
        auto reading = fan_out(ports_.runtime, files_.size(), kFilesAtOnce, each);
        co_return co_await std::move(reading);
    }

    /// Files are used in turn, each from its front on, and the front is synced before anything behind
    /// it is written. So the newest group is in one of the two newest uses, and says which the oldest needed
    /// one is; uses before the one that has that are not read, half of a busy journal. Files whose front is
    /// not intact are, and all where fronts are of several journals.
    Task<Status> scan_needed() {
        std::vector<size_t> first;
        for (size_t i = 0; i < files_.size(); ++i) {
            if (!files_[i].front || is_mixed() || uses_after(i) < 2) first.push_back(i);
        }
        CO_TRY_STATUS(co_await scan(std::move(first)));
        uint64_t newest = 0;
        uint64_t needed = 0;
        for (const ScannedFile& file : files_) {
            for (const ReplayGroup& group : file.groups) {
                if (group.header.sequence < newest) continue;
                newest = group.header.sequence;
                needed = group.header.oldest_needed;
            }
        }
        uint64_t oldest_use = 0;
        for (const ScannedFile& file : files_) {
            if (!file.front || file.front->header.sequence > needed) continue;
            oldest_use = std::max(oldest_use, file.front->header.file_sequence);
        }
        std::vector<size_t> rest;
        for (size_t i = 0; i < files_.size(); ++i) {
            const bool known = files_[i].scanned;
            if (!known && files_[i].front->header.file_sequence >= oldest_use) rest.push_back(i);
        }
        co_return co_await scan(std::move(rest));
    }

    [[nodiscard]] bool has_scanned_all() const {
        return std::ranges::all_of(files_, &ScannedFile::scanned);
    }
    Task<Status> scan_all() {
        std::vector<size_t> rest;
        for (size_t i = 0; i < files_.size(); ++i) {
            if (!files_[i].scanned) rest.push_back(i);
        }
        co_return co_await scan(std::move(rest));
    }

    /// Of files that were not read, the front.
    [[nodiscard]] std::vector<ReplayGroup> groups() const {
        std::vector<ReplayGroup> all;
        for (const ScannedFile& file : files_) {
            all.insert(all.end(), file.groups.begin(), file.groups.end());
            if (!file.scanned && file.front) all.push_back(*file.front);
        }
        return all;
    }

private:
    [[nodiscard]] bool is_mixed() const {
        const GroupHeader* one = nullptr;
        for (const ScannedFile& file : files_) {
            if (!file.front) continue;
            if (one != nullptr && one->journal_id != file.front->header.journal_id) return true;
            one = &file.front->header;
        }
        return false;
    }
    [[nodiscard]] size_t uses_after(size_t index) const {
        const uint64_t own = files_[index].front->header.file_sequence;
        return static_cast<size_t>(std::ranges::count_if(files_, [own](const ScannedFile& file) {
            return file.front && file.front->header.file_sequence > own;
        }));
    }

    Task<Status> read_front(size_t index) {
        CO_TRY(const auto file, co_await ports_.files.open(paths_[index], OpenOptions{}));
        const uint64_t size = file->opened_size();
        uint64_t wanted = std::min(size, kFrontBytes);
        for (;;) {
            BlockRef block = make_block(wanted);
            CO_TRY(const size_t got, co_await file->read(0, wanted, block));
            const std::span<const std::byte> bytes{block->data(), got};
            const auto header = read_group_header(bytes);
            if (!header || header->payload_bytes > kMostGroup) co_return Status();
            const uint64_t length = kGroupHeaderBytes + header->payload_bytes;
            if (length > size) co_return Status();
            if (length > got && wanted < length) {
                wanted = length;
                continue;
            }
            const bool intact = length <= got && group_is_intact(bytes.first(length), *header);
            if (intact) files_[index].front = ReplayGroup{index, 0, *header};
            co_return Status();
        }
    }

    Task<Status> scan(std::vector<size_t> which) {
        auto each = [this, &which](size_t i) { return scan_file(which[i]); };
        auto scanning = fan_out(ports_.runtime, which.size(), kFilesAtOnce, each);
        co_return co_await std::move(scanning);
    }

    Task<Status> scan_file(size_t index) {
        CO_TRY(auto file, co_await ports_.files.open(paths_[index], OpenOptions{}));
        const uint64_t size = file->opened_size();
        GroupScanner scanner(std::move(file), size);
        files_[index].scanned = true;
        co_return co_await scanner.scan(files_[index].groups, index);
    }

    Ports ports_;
    const std::vector<std::string>& paths_;
    std::vector<ScannedFile> files_;
};

Status check_owner(const JournalChain& chain, const Uuid& directory_id) {
    for (const ReplayGroup& group : chain.groups) {
        const GroupHeader& header = group.header;
        const std::string& path = chain.paths[group.file];
        if (header.directory_id != directory_id || header.shard != chain.shard.value()) {
            return fail(ErrorCode::corrupt,
                        fmt::format("{} is the journal of another directory", path));
        }
        if (header.journal_id != chain.journal_id) {
            return fail(ErrorCode::corrupt, fmt::format("{} and {} belong to two journals", path,
                                                        chain.paths.front()));
        }
    }
    return {};
}

/// The groups of the files that were read, in order.
Status take_groups(JournalChain& chain,
                   const ChainScan& scan,
                   const std::set<uint64_t>& retired,
                   const Uuid& directory_id,
                   TestFaults faults) {
    chain.groups = scan.groups();
    std::erase_if(chain.groups, [&retired](const ReplayGroup& group) {
        return retired.contains(group.header.journal_id);
    });
    if (chain.groups.empty()) return {};
    chain.journal_id = chain.groups.front().header.journal_id;
    TRY_STATUS(check_owner(chain, directory_id));
    return order_groups(chain, faults);
}

Task<Result<JournalChain>> read_chain(
    Ports ports, ShardIndex shard, ShardFiles from, Uuid directory_id, TestFaults faults) {
    JournalChain chain;
    chain.shard = shard;
    chain.paths = std::move(from.paths);
    ChainScan scan(ports, chain.paths);
    CO_TRY_STATUS(co_await scan.read_fronts());
    CO_TRY_STATUS(co_await scan.scan_needed());
    Status taken = take_groups(chain, scan, from.retired, directory_id, faults);
    if (!taken && !scan.has_scanned_all()) {
        // What is missing may be where it was not looked for.
        CO_TRY_STATUS(co_await scan.scan_all());
        taken = take_groups(chain, scan, from.retired, directory_id, faults);
    }
    CO_TRY_STATUS(taken);
    co_return chain;
}

}  // namespace

Task<Result<FoundJournals>> find_journals(Ports ports,
                                          std::string directory,
                                          Uuid directory_id,
                                          TestFaults faults) {
    FileSystem& files = ports.files;
    CO_TRY(const auto entries, co_await files.list(directory));
    std::map<ShardIndex, ShardFiles> shards;
    FoundJournals found;
    for (const DirectoryEntry& entry : entries) {
        const std::string path = join_path(directory, entry.name);
        if (const auto name = parse_journal_file(entry.name)) {
            shards[name->shard].paths.push_back(path);
            found.paths.push_back(path);
        } else if (entry.name.starts_with(kRetiredPrefix)) {
            uint32_t shard = 0;
            const std::string_view digits =
                std::string_view(entry.name).substr(kRetiredPrefix.size());
            std::from_chars(digits.data(), digits.data() + digits.size(), shard);
            auto ids = co_await read_retired(files, path);
            if (ids) shards[ShardIndex{shard}].retired = *std::move(ids);
        }
    }
    for (auto& [shard, from] : shards) {
        if (from.paths.empty()) continue;
        CO_TRY(auto chain, co_await read_chain(ports, shard, from, directory_id, faults));
        if (!chain.groups.empty()) found.chains.push_back(std::move(chain));
    }
    co_return found;
}

Task<Result<Buffer>> read_group(FileSystem& files, std::string path, ReplayGroup group) {
    CO_TRY(const auto file, co_await files.open(path, OpenOptions{}));
    const size_t bytes = kGroupHeaderBytes + group.header.payload_bytes;
    BlockRef block = make_block(bytes);
    CO_TRY(const size_t got, co_await file->read(group.position, bytes, block));
    if (got != bytes) co_return fail(ErrorCode::io_error, path + " became shorter");
    co_return Buffer{std::move(block), 0, bytes};
}

Task<Result<std::optional<Buffer>>> GroupReader::next() {
    if (at_ == chain_.groups.size()) co_return std::nullopt;
    const ReplayGroup& wanted = chain_.groups[at_];
    const uint64_t length = kGroupHeaderBytes + wanted.header.payload_bytes;
    const bool held = file_ != nullptr && wanted.file == file_index_ &&
                      wanted.position >= held_from_ &&
                      wanted.position + length <= held_from_ + held_.size();
    if (!held) CO_TRY_STATUS(co_await read_ahead());
    ++at_;
    co_return held_.slice(wanted.position - held_from_, length);
}

Task<Status> GroupReader::read_ahead() {
    const ReplayGroup& first = chain_.groups[at_];
    uint64_t end = first.position + kGroupHeaderBytes + first.header.payload_bytes;
    for (size_t i = at_ + 1; i < chain_.groups.size(); ++i) {
        const ReplayGroup& next = chain_.groups[i];
        const uint64_t next_end = next.position + kGroupHeaderBytes + next.header.payload_bytes;
        const bool behind = next.file == first.file && next.position >= end;
        if (!behind || next_end - first.position > kWindowBytes) break;
        end = next_end;
    }
    const std::string path = chain_.paths[first.file];
    if (file_ == nullptr || file_index_ != first.file) {
        CO_TRY(file_, co_await files_.open(path, OpenOptions{}));
        file_index_ = first.file;
    }
    BlockRef block = make_block(end - first.position);
    CO_TRY(const size_t got, co_await file_->read(first.position, end - first.position, block));
    if (got != end - first.position) co_return fail(ErrorCode::io_error, path + " became shorter");
    held_ = Buffer{std::move(block), 0, got};
    held_from_ = first.position;
    co_return Status();
}

Task<Status> settle_newest_group(FileSystem& files, JournalChain chain) {
    if (chain.groups.empty()) co_return Status();
    const ReplayGroup newest = chain.groups.back();
    const std::string path = chain.paths[newest.file];
    CO_TRY(const Buffer bytes, co_await read_group(files, path, newest));
    CO_TRY(const FileStatus status, co_await files.status(path));
    OpenOptions options;
    options.write = true;
    CO_TRY(const auto file, co_await files.open(path, options));
    Chain same(bytes);
    CO_TRY([[maybe_unused]] size_t written, co_await file->write(newest.position, std::move(same)));
    co_return co_await sync_anew(*file, status.size);
}

Task<Status> retire_journal(FileSystem& files,
                            std::string directory,
                            ShardIndex shard,
                            uint64_t journal_id) {
    Buffer text = Buffer::copy_of(fmt::format("{:016x}\n", journal_id));
    co_return co_await replace_file(files, retired_path(directory, shard), text);
}

Task<Status> remove_retired_markers(FileSystem& files, std::string directory) {
    CO_TRY(const auto entries, co_await files.list(directory));
    for (const DirectoryEntry& entry : entries) {
        if (!entry.name.starts_with(kRetiredPrefix)) continue;
        CO_TRY_STATUS(co_await remove_file(files, join_path(directory, entry.name)));
    }
    co_return Status();
}

}  // namespace ottla::storage
