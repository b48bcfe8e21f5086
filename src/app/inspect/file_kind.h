// SPDX-License-Identifier: Apache-2.0
// Which of our formats a file holds, told from its name alone, as a person or a broker would: the
// names of DESIGN 7.1, also with the endings that mark a file on its way in or out (`.deleted`,
// `.cleaned`, `.swap`, `.tmp`, `.part`). A log of `__cluster_metadata` counts as metadata.
// pure
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ottla::app {

enum class FileKind : uint8_t {
    segment,
    index,
    timeindex,
    txnindex,
    journal,
    snapshot,
    checkpoint,
    quorum_state,
    metadata,
    sums,
};

/// The word of the command line: "quorum-state".
std::string_view name_of(FileKind kind);
std::optional<FileKind> parse_file_kind(std::string_view word);
/// Nothing for a name that says nothing.
std::optional<FileKind> file_kind_of(std::string_view path);

/// The part behind the last '/', without a passing ending.
std::string_view stable_name(std::string_view path);
/// The offset that the name begins with; 0 if it does not begin with twenty digits.
int64_t base_offset_of(std::string_view path);

/// The text files that `inspect checkpoint` reads.
enum class TextKind : uint8_t {
    offsets,
    leader_epochs,
    partition_metadata,
    meta_properties,
    clean_shutdown,
    catalogue,
    retired_journal,
    moved,
};
std::optional<TextKind> text_kind_of(std::string_view path);

}  // namespace ottla::app
