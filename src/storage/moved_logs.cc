// SPDX-License-Identifier: Apache-2.0
#include "storage/moved_logs.h"

#include <fmt/format.h>

#include <map>

#include "base/crc32c.h"
#include "base/numbers.h"
#include "base/uuid.h"
#include "ottla/buffer.h"
#include "storage/atomic_file.h"
#include "storage/file_names.h"
#include "storage/log_directory.h"

namespace ottla::storage {
namespace {

constexpr uint64_t kMostMark = 4096;

/// The line without `prefix`; nothing if the text does not go on with it.
std::optional<std::string_view> take_line(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return std::nullopt;
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view value = text.substr(prefix.size(), end - prefix.size());
    text.remove_prefix(end + 1);
    return value;
}

struct Place {
    LogDirectory* directory = nullptr;
    Uuid topic_id;
    uint64_t moves = 0;
};

Error two_of(const TopicPartition& name, const Place& one, const Place& other) {
    return {ErrorCode::corrupt,
            fmt::format("{} is in {} and in {}, and nothing says which of them is the log: a move "
                        "between them was cut off; delete the folder in the one that failed",
                        log_directory_name(name), one.directory->path(), other.directory->path())};
}

Result<MovedMark> parse_once(std::string_view text) {
    const std::string_view whole = text;
    const auto version = take_line(text, "");
    if (version != "1") return fail(ErrorCode::malformed, "line 1: the version is not 1");
    const auto reign = take_line(text, "reign ");
    const auto moves = take_line(text, "moves ");
    const std::string_view covered = whole.substr(0, whole.size() - text.size());
    const auto crc = take_line(text, "crc ");
    if (!reign || !moves || !crc) return fail(ErrorCode::malformed, "a line is missing");
    const auto sum = whole_number<uint32_t>(*crc, 16);
    if (sum != crc32c(0, as_bytes(covered)))
        return fail(ErrorCode::malformed, "the checksum is wrong");
    const auto id = parse_uuid(*reign);
    const auto count = whole_number<uint64_t>(*moves);
    if (!id || !count) return fail(ErrorCode::malformed, "a value that cannot be read");
    return MovedMark{*id, *count};
}

}  // namespace

std::string moved_text(const Uuid& reign, uint64_t moves) {
    std::string text = fmt::format("1\nreign {}\nmoves {}\n", to_string(reign), moves);
    text += fmt::format("crc {:08x}\n", crc32c(0, as_bytes(text)));
    return text + text;
}

Result<MovedMark> parse_moved(std::string_view text) {
    const auto first = parse_once(text);
    if (first) return first;
    const auto second = parse_once(text.substr(text.size() / 2));
    return second ? second : first;
}

Task<Result<uint64_t>> count_moves(FileSystem& files, std::string folder, Uuid reign) {
    const auto text = co_await read_file(files, join_path(folder, kMovedFile), kMostMark);
    if (!text && text.error().code == ErrorCode::not_found) co_return uint64_t{0};
    if (!text) co_return std::unexpected(text.error());
    const auto mark = parse_moved(text->text());
    if (!mark || mark->reign != reign) co_return uint64_t{0};
    co_return mark->moves;
}

Task<Status> settle_moved_logs(FileSystem& files, std::vector<LogDirectory*> directories) {
    std::map<TopicPartition, std::vector<Place>> places;
    for (LogDirectory* const directory : directories) {
        for (const FoundLog& log : directory->logs()) {
            places[log.name].push_back({directory, log.topic_id});
        }
    }
    for (auto& [name, all] : places) {
        if (all.size() < 2) continue;
        for (Place& place : all) {
            const std::string folder = join_path(place.directory->path(), log_directory_name(name));
            CO_TRY(place.moves,
                   co_await count_moves(files, folder, place.directory->served().reign));
        }
        for (size_t i = 1; i < all.size(); ++i) {
            // Of another topic of that name: whoever knows the topics knows which one goes.
            if (all[i].topic_id != all[0].topic_id) continue;
            if (all[i].moves == all[0].moves)
                co_return std::unexpected(two_of(name, all[0], all[i]));
            if (all[i].moves > all[0].moves) std::swap(all[0], all[i]);
            // What brought them there is needed no more: the journals would miss the folder that goes.
            for (const Place& place : {all[0], all[i]}) {
                CO_TRY_STATUS(co_await place.directory->settle());
            }
            CO_TRY_STATUS(co_await all[i].directory->remove_log(name));
        }
    }
    co_return Status();
}

}  // namespace ottla::storage
