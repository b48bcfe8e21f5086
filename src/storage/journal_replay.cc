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
/// Two threads read: while one copies from the disk the other's bytes are checked.
constexpr size_t kChainsAtOnce = 2;
constexpr size_t kFilesAtOnce = 2;
/// More than most groups are.
constexpr uint64_t kFrontBytes = 128ULL * 1024;
/// More than one group can hold: a larger length is not a length.
constexpr uint64_t kMostGroup = 512ULL * 1024 * 1024;

std::string retired_path(const std::string& directory, ShardIndex shard) {
    return join_path(directory, fmt::format("{}{}", kRetiredPrefix, shard.value()));
}

/// Past the page cache, in whole reads: nobody reads it a second time.
Task<Result<std::unique_ptr<File>>> open_journal(FileSystem& files, std::string path) {
    OpenOptions options;
    options.direct = true;
    CO_TRY(auto file, co_await files.open(path, options));
    if (file->opened_size() % kJournalBlockBytes == 0) co_return file;
    co_return co_await files.open(path, OpenOptions{});  // No file of ours, or cut off.
}

/// What is known of one file of a chain.
struct ScannedFile {
    /// Of the group that it begins with, if that is intact: it says which use of the file this is.
    std::optional<ReplayGroup> front;
    /// The first bytes of the file, for the scan.
    Buffer begin;
    std::vector<ReplayGroup> groups;
    bool scanned = false;
};

/// Finds the intact groups of one file. Each byte of it is read once: what a window has of a group that goes
/// on behind it is carried into the next one.
class GroupScanner {
public:
    GroupScanner(std::unique_ptr<File> file, ReplayMemory& memory)
        : file_(std::move(file)), size_(file_->opened_size()), memory_(memory) {}

    Task<Status> scan(ScannedFile& found, size_t index) {
        window_ = std::exchange(found.begin, {});
        // What an older use of the file left in it nobody needs.
        if (found.front) use_ = found.front->header.file_sequence;
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
            found.groups.push_back({index, at, *header, kept(at, *header)});
            at += header->blocks_bytes();
        }
        co_return Status();
    }

private:
    /// The bytes of a group, as long as there is memory for its window.
    Buffer kept(uint64_t position, const GroupHeader& header) {
        if (use_ && header.file_sequence != *use_) return {};
        if (!keeps_window_) keeps_window_ = memory_.take(window_.block()->capacity());
        if (!keeps_window_) return {};
        return window_.slice(position - window_at_, kGroupHeaderBytes + header.payload_bytes);
    }

    Task<Result<std::span<const std::byte>>> bytes_at(uint64_t position, uint64_t length) {
        if (position + length > window_at_ + window_.size()) {
            CO_TRY_STATUS(co_await advance(position, length));
        }
        co_return window_.span().subspan(position - window_at_, length);
    }

    Task<Status> advance(uint64_t position, uint64_t length) {
        const uint64_t end = window_at_ + window_.size();
        // Blocks that no group begins in may lie wholly before the window.
        const Buffer rest =
            position < end ? window_.slice(position - window_at_, end - position) : Buffer{};
        const uint64_t from = position + rest.size();
        const uint64_t least = round_up_to_block(length);
        const uint64_t most = std::max(least, kWindowBytes) - rest.size();
        const uint64_t wanted = std::min(size_ - from, most);
        BlockRef block = make_block(rest.size() + wanted, kDirectAlignment);
        std::ranges::copy(rest.span(), block->data());
        CO_TRY(const size_t got, co_await file_->read(from, wanted, block, rest.size()));
        if (rest.size() + got < length) {
            co_return fail(ErrorCode::io_error, "a journal file became shorter");
        }
        window_ = Buffer{std::move(block), 0, rest.size() + got};
        window_at_ = position;
        keeps_window_ = false;
        co_return Status();
    }

    std::unique_ptr<File> file_;
    uint64_t size_;
    ReplayMemory& memory_;
    std::optional<uint64_t> use_;
    Buffer window_;
    uint64_t window_at_ = 0;
    bool keeps_window_ = false;
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

/// What the newest groups were in may be missing, and no group that is left would tell.
Status check_files(const JournalChain& chain) {
    const auto files_of = [](const ReplayGroup& group) { return group.header.files; };
    const ReplayGroup& witness = *std::ranges::max_element(chain.groups, {}, files_of);
    const std::string& seen_in = chain.paths[witness.file];
    for (uint32_t number = 0; number < witness.header.files; ++number) {
        const std::string path =
            join_path(parent_path(seen_in), journal_file_name(chain.shard, number));
        if (std::ranges::find(chain.paths, path) != chain.paths.end()) continue;
        return fail(ErrorCode::corrupt,
                    fmt::format("{} is missing, which group {} in {} has seen: it may have held records "
                                "that were acknowledged; put it back, or make an empty file of that name "
                                "to go on without it",
                                path, witness.header.sequence, seen_in));
    }
    return {};
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

/// Reads the files of one shard, as few as it can.
class ChainScan {
public:
    ChainScan(Ports ports, const std::vector<std::string>& paths, ReplayMemory& memory)
        : ports_(ports), paths_(paths), memory_(memory), files_(paths.size()) {}

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
        CO_TRY(const auto file, co_await open_journal(ports_.files, paths_[index]));
        const uint64_t size = file->opened_size();
        uint64_t wanted = std::min(size, kFrontBytes);
        for (;;) {
            BlockRef block = make_block(wanted, kDirectAlignment);
            CO_TRY(const size_t got, co_await file->read(0, wanted, block));
            files_[index].begin = Buffer{std::move(block), 0, got};
            const std::span<const std::byte> bytes = files_[index].begin.span();
            const auto header = read_group_header(bytes);
            if (!header || header->payload_bytes > kMostGroup) co_return Status();
            const uint64_t length = kGroupHeaderBytes + header->payload_bytes;
            if (length > size) co_return Status();
            if (length > got && wanted < length) {
                wanted = std::min<uint64_t>(size, round_up_to_block(length));
                continue;
            }
            const bool intact = length <= got && group_is_intact(bytes.first(length), *header);
            if (intact) files_[index].front = ReplayGroup{index, 0, *header, {}};
            co_return Status();
        }
    }

    Task<Status> scan(std::vector<size_t> which) {
        auto each = [this, &which](size_t i) { return scan_file(which[i]); };
        auto scanning = fan_out(ports_.runtime, which.size(), kFilesAtOnce, each);
        co_return co_await std::move(scanning);
    }

    Task<Status> scan_file(size_t index) {
        CO_TRY(auto file, co_await open_journal(ports_.files, paths_[index]));
        GroupScanner scanner(std::move(file), memory_);
        files_[index].scanned = true;
        co_return co_await scanner.scan(files_[index], index);
    }

    Ports ports_;
    const std::vector<std::string>& paths_;
    ReplayMemory& memory_;
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
                   const JournalSearch& search) {
    chain.groups = scan.groups();
    std::erase_if(chain.groups, [&retired](const ReplayGroup& group) {
        return retired.contains(group.header.journal_id);
    });
    if (chain.groups.empty()) return {};
    chain.journal_id = chain.groups.front().header.journal_id;
    TRY_STATUS(check_owner(chain, search.directory_id));
    TRY_STATUS(check_files(chain));
    return order_groups(chain, search.faults);
}

/// All chains of a directory; each is found once.
class JournalFinder {
public:
    JournalFinder(Ports ports, const JournalSearch& search)
        : ports_(ports), search_(search), memory_{.most = search.most_held} {}

    Task<Result<FoundJournals>> find() {
        FoundJournals found;
        for (const DirectoryEntry& entry : search_.names) {
            CO_TRY_STATUS(co_await sort_in(entry.name, found));
        }
        std::erase_if(shards_, [](const ShardFiles& one) { return one.chain.paths.empty(); });
        auto each = [this](size_t i) { return read_chain(shards_[i]); };
        auto reading = fan_out(ports_.runtime, shards_.size(), kChainsAtOnce, each);
        CO_TRY_STATUS(co_await std::move(reading));
        for (ShardFiles& one : shards_) {
            if (!one.chain.groups.empty()) found.chains.push_back(std::move(one.chain));
        }
        found.held_bytes = memory_.held;
        co_return found;
    }

private:
    struct ShardFiles {
        JournalChain chain;
        std::set<uint64_t> retired;
    };

    Task<Status> sort_in(std::string name, FoundJournals& found) {
        const std::string path = join_path(search_.directory, name);
        if (const auto file = parse_journal_file(name)) {
            of(file->shard).chain.paths.push_back(path);
            found.paths.push_back(path);
        } else if (name.starts_with(kRetiredPrefix)) {
            uint32_t shard = 0;
            const std::string_view digits = std::string_view(name).substr(kRetiredPrefix.size());
            std::from_chars(digits.data(), digits.data() + digits.size(), shard);
            auto ids = co_await read_retired(ports_.files, path);
            if (!ids) co_return Status();
            found.retired.insert(ids->begin(), ids->end());
            of(ShardIndex{shard}).retired = *std::move(ids);
        }
        co_return Status();
    }

    ShardFiles& of(ShardIndex shard) {
        const auto at = std::ranges::find(shards_, shard,
                                          [](const ShardFiles& one) { return one.chain.shard; });
        if (at != shards_.end()) return *at;
        shards_.emplace_back().chain.shard = shard;
        return shards_.back();
    }

    Task<Status> read_chain(ShardFiles& from) {
        JournalChain& chain = from.chain;
        ChainScan scan(ports_, chain.paths, memory_);
        CO_TRY_STATUS(co_await scan.read_fronts());
        CO_TRY_STATUS(co_await scan.scan_needed());
        Status taken = take_groups(chain, scan, from.retired, search_);
        if (!taken && !scan.has_scanned_all()) {
            // What is missing may be where it was not looked for.
            CO_TRY_STATUS(co_await scan.scan_all());
            taken = take_groups(chain, scan, from.retired, search_);
        }
        co_return taken;
    }

    Ports ports_;
    const JournalSearch& search_;
    ReplayMemory memory_;
    std::vector<ShardFiles> shards_;
};

}  // namespace

Task<Result<FoundJournals>> find_journals(Ports ports, JournalSearch search) {
    JournalFinder finder(ports, search);
    co_return co_await finder.find();
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
    ReplayGroup& wanted = chain_.groups[at_];
    if (!wanted.bytes.empty()) {
        ++at_;
        co_return wanted.bytes;
    }
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
        const bool behind = next.bytes.empty() && next.file == first.file && next.position >= end;
        if (!behind || next_end - first.position > kWindowBytes) break;
        end = next_end;
    }
    const std::string path = chain_.paths[first.file];
    if (file_ == nullptr || file_index_ != first.file) {
        CO_TRY(file_, co_await files_.open(path, OpenOptions{}));
        file_index_ = first.file;
    }
    BlockRef block = make_block(end - first.position, kDirectAlignment);
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
    Buffer bytes = newest.bytes;
    if (bytes.empty()) {
        CO_TRY(bytes, co_await read_group(files, path, newest));
    }
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
