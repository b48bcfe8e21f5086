// SPDX-License-Identifier: Apache-2.0
#include "app/inspect/file_kind.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "storage/catalogue.h"
#include "storage/file_names.h"
#include "storage/segment_sums.h"

namespace ottla::app {
namespace {

using namespace std::string_view_literals;

constexpr std::array kNames = {
    std::pair{FileKind::segment, "segment"sv},
    std::pair{FileKind::index, "index"sv},
    std::pair{FileKind::timeindex, "timeindex"sv},
    std::pair{FileKind::txnindex, "txnindex"sv},
    std::pair{FileKind::journal, "journal"sv},
    std::pair{FileKind::snapshot, "snapshot"sv},
    std::pair{FileKind::checkpoint, "checkpoint"sv},
    std::pair{FileKind::quorum_state, "quorum-state"sv},
    std::pair{FileKind::metadata, "metadata"sv},
    std::pair{FileKind::sums, "sums"sv},
};

constexpr std::array kSuffixes = {
    std::pair{FileKind::segment, storage::kLogSuffix},
    std::pair{FileKind::index, storage::kOffsetIndexSuffix},
    std::pair{FileKind::timeindex, storage::kTimeIndexSuffix},
    std::pair{FileKind::txnindex, ".txnindex"sv},
    std::pair{FileKind::snapshot, storage::kSnapshotSuffix},
    std::pair{FileKind::metadata, ".checkpoint"sv},
    std::pair{FileKind::sums, storage::kSumsSuffix},
};

constexpr std::array kPassing = {".deleted"sv, ".cleaned"sv, ".swap"sv, ".tmp"sv, ".part"sv};

/// The folder that the file lies in, by its last name.
std::string_view folder_of(std::string_view path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return {};
    path = path.substr(0, slash);
    return path.substr(path.rfind('/') + 1);
}

}  // namespace

std::string_view name_of(FileKind kind) {
    const auto row = std::ranges::find(kNames, kind, &std::pair<FileKind, std::string_view>::first);
    return row == kNames.end() ? "file" : row->second;
}

std::optional<FileKind> parse_file_kind(std::string_view word) {
    const auto row =
        std::ranges::find(kNames, word, &std::pair<FileKind, std::string_view>::second);
    if (row == kNames.end()) return std::nullopt;
    return row->first;
}

std::string_view stable_name(std::string_view path) {
    std::string_view name = path.substr(path.rfind('/') + 1);
    for (const std::string_view ending : kPassing) {
        if (name.ends_with(ending)) name.remove_suffix(ending.size());
    }
    return name;
}

std::optional<FileKind> file_kind_of(std::string_view path) {
    const std::string_view name = stable_name(path);
    if (storage::parse_journal_file(name)) return FileKind::journal;
    if (name == "quorum-state") return FileKind::quorum_state;
    if (text_kind_of(path)) return FileKind::checkpoint;
    for (const auto& [kind, suffix] : kSuffixes) {
        if (!name.ends_with(suffix)) continue;
        const bool quorum = folder_of(path).starts_with(storage::kMetadataTopic);
        return kind == FileKind::segment && quorum ? FileKind::metadata : kind;
    }
    return std::nullopt;
}

int64_t base_offset_of(std::string_view path) {
    constexpr size_t kDigits = 20;
    const std::string_view name = stable_name(path).substr(0, kDigits);
    int64_t offset = 0;
    const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), offset);
    const bool read = error == std::errc{} && stop == name.data() + kDigits && offset >= 0;
    return read ? offset : 0;
}

std::optional<TextKind> text_kind_of(std::string_view path) {
    const std::string_view name = stable_name(path);
    if (name == storage::kLeaderEpochFile) return TextKind::leader_epochs;
    if (name == storage::kPartitionMetadataFile) return TextKind::partition_metadata;
    if (name == storage::kMetaPropertiesFile) return TextKind::meta_properties;
    if (name == storage::kCleanShutdownFile) return TextKind::clean_shutdown;
    if (name.starts_with(storage::kCataloguePrefix)) return TextKind::catalogue;
    if (name.starts_with(".ottla-retired-")) return TextKind::retired_journal;
    if (name == storage::kMovedFile) return TextKind::moved;
    if (name.ends_with("-offset-checkpoint")) return TextKind::offsets;
    return std::nullopt;
}

}  // namespace ottla::app
