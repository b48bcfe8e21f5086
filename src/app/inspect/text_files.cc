// SPDX-License-Identifier: Apache-2.0
// The small text files. Lines are printed as far as they can be read; then the broker's own parser
// has the last word, so that nothing is called intact here that a start would refuse.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <string>

#include "app/inspect/printers.h"
#include "base/uuid.h"
#include "raft/quorum_state.h"
#include "storage/leader_epochs.h"
#include "storage/meta_properties.h"
#include "storage/moved_logs.h"
#include "storage/offset_checkpoint.h"

namespace ottla::app {
namespace {

/// A checkpoint of 100,000 partitions has 5 MB.
constexpr uint64_t kMostTextBytes = uint64_t{256} << 20;

constexpr std::array kOffsetColumns = {Column{"topic", 30}, Column{"partition"}, Column{"offset"}};
constexpr std::array kEpochColumns = {Column{"leader_epoch"}, Column{"start_offset"}};
constexpr std::array kPropertyColumns = {Column{"key", 14}, Column{"value"}};
constexpr std::array kShutdownColumns = {Column{"version"}, Column{"broker_epoch"}};
constexpr std::array kRetiredColumns = {Column{"journal_id"}};
constexpr std::array kMovedColumns = {Column{"moves"}, Column{"reign", 22}};
constexpr std::array kQuorumColumns = {Column{"leader_epoch"}, Column{"leader_id"},
                                       Column{"voted_id"},     Column{"voted_directory_id", 22},
                                       Column{"data_version"}, Column{"content", 0, true}};

/// Cuts a text into lines and knows where each began.
class LineWalk {
public:
    explicit LineWalk(std::string_view text) : text_(text) {}
    bool next() {
        position_ = next_;
        if (position_ >= text_.size()) return false;
        const size_t end = std::min(text_.find('\n', position_), text_.size());
        line_ = text_.substr(position_, end - position_);
        next_ = end + 1;
        return true;
    }
    [[nodiscard]] std::string_view line() const { return line_; }
    [[nodiscard]] uint64_t position() const { return position_; }

private:
    std::string_view text_;
    std::string_view line_;
    size_t position_ = 0;
    size_t next_ = 0;
};

std::optional<int64_t> number(std::string_view text) {
    int64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return value;
}

/// Exactly N words, each behind one blank.
template <size_t N>
std::optional<std::array<std::string_view, N>> words_of(std::string_view line) {
    std::array<std::string_view, N> words;
    for (size_t i = 0; i < N; ++i) {
        const size_t end = i + 1 < N ? line.find(' ') : line.size();
        if (end == std::string_view::npos || end == 0) return std::nullopt;
        words[i] = line.substr(0, end);
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    return words;
}

/// The number behind "key": in a flat JSON object.
Cell json_number(std::string_view json, std::string_view key) {
    const std::string quoted = fmt::format("\"{}\"", key);
    size_t at = json.find(quoted);
    if (at == std::string_view::npos) return std::monostate{};
    at = json.find_first_not_of(" :\t\r\n", at + quoted.size());
    if (at == std::string_view::npos) return std::monostate{};
    int64_t value = 0;
    const auto [stop, error] = std::from_chars(json.data() + at, json.data() + json.size(), value);
    if (error != std::errc{}) return std::monostate{};
    return value;
}

/// What the line-wise reading did not see already.
template <class T>
void judge(const Result<T>& parsed, Report& report) {
    if (!parsed && report.is_intact()) report.damage(0, parsed.error().detail);
}

/// Version 0, a count, then lines of N words, of which the last Numbers are numbers.
template <size_t N, class PrintRow>
void print_counted_lines(std::string_view text, Report& report, PrintRow print_row) {
    if (text.empty()) return report.note(0, "empty, as Kafka makes it before it has an entry");
    LineWalk lines(text);
    if (!lines.next() || number(lines.line()) != 0) {
        return report.damage(lines.position(), "the first line is no version 0");
    }
    const auto count = lines.next() ? number(lines.line()) : std::nullopt;
    if (!count) return report.damage(lines.position(), "the second line is no count");
    while (lines.next()) {
        if (lines.line().empty()) continue;
        const auto words = words_of<N>(lines.line());
        if (!words || !print_row(*words)) report.damage(lines.position(), "a line cannot be read");
    }
    if (std::cmp_not_equal(report.rows(), *count) && report.is_intact()) {
        report.damage(text.size(),
                      fmt::format("{} entries, the second line says {}", report.rows(), *count));
    }
}

void print_offsets(std::string_view text, Report& report) {
    report.begin(kOffsetColumns);
    print_counted_lines<3>(text, report, [&report](const auto& words) {
        const auto partition = number(words[1]);
        const auto offset = number(words[2]);
        if (!partition || !offset) return false;
        report.row({std::string(words[0]), *partition, *offset});
        return true;
    });
    judge(storage::parse_offset_checkpoint(text), report);
}

void print_leader_epochs(std::string_view text, Report& report) {
    report.begin(kEpochColumns);
    print_counted_lines<2>(text, report, [&report](const auto& words) {
        const auto epoch = number(words[0]);
        const auto start = number(words[1]);
        if (!epoch || !start) return false;
        report.row({*epoch, *start});
        return true;
    });
    if (!text.empty()) judge(storage::LeaderEpochs::parse(text), report);
}

/// Lines of a key, the separator and a value; comments are Java's.
void print_properties(std::string_view text, std::string_view separator, Report& report) {
    report.begin(kPropertyColumns);
    for (LineWalk lines(text); lines.next();) {
        const std::string_view line = lines.line();
        if (line.empty() || line.starts_with('#') || line.starts_with('!')) continue;
        const size_t at = line.find(separator);
        if (at == std::string_view::npos) {
            report.damage(lines.position(), "a line without a key");
            continue;
        }
        report.row(
            {std::string(line.substr(0, at)), std::string(line.substr(at + separator.size()))});
    }
}

void print_clean_shutdown(std::string_view text, Report& report) {
    report.begin(kShutdownColumns);
    const Cell epoch = json_number(text, "brokerEpoch");
    if (std::holds_alternative<std::monostate>(epoch)) {
        // Kafka before 3.7 wrote an empty file.
        return text.empty() ? report.note(0, "empty, as Kafka before 3.7 wrote it")
                            : report.damage(0, "no JSON with a brokerEpoch");
    }
    report.row({json_number(text, "version"), epoch});
}

void print_retired(std::string_view text, Report& report) {
    report.begin(kRetiredColumns);
    for (LineWalk lines(text); lines.next();) {
        uint64_t id = 0;
        const std::string_view line = lines.line();
        const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), id, 16);
        if (error != std::errc{} || stop != line.data() + line.size()) {
            report.damage(lines.position(), "no journal id in hex");
        } else {
            report.row({fmt::format("{:016x}", id)});
        }
    }
    if (text.empty()) report.damage(0, "no journal id in hex");
}

void print_moved(std::string_view text, Report& report) {
    report.begin(kMovedColumns);
    const auto mark = storage::parse_moved(text);
    if (!mark) return report.damage(0, mark.error().detail);
    report.row({number_cell(mark->moves), to_string(mark->reign)});
    // A start believes the half that is sound.
    if (storage::moved_text(mark->reign, mark->moves) != text) {
        report.damage(0, "the two halves differ");
    }
}

/// For a file under another name: what its first lines look like.
std::optional<TextKind> guess_kind(std::string_view text) {
    if (text.starts_with("OTTLACAT")) return TextKind::catalogue;
    if (text.starts_with('{')) return TextKind::clean_shutdown;
    if (text.starts_with("version: ")) return TextKind::partition_metadata;
    if (text.find("cluster.id=") != std::string_view::npos) return TextKind::meta_properties;
    if (text.starts_with("1\nreign ")) return TextKind::moved;
    LineWalk lines(text);
    for (int i = 0; i < 3; ++i) {
        if (!lines.next()) return TextKind::offsets;
    }
    return words_of<3>(lines.line()) ? TextKind::offsets : TextKind::leader_epochs;
}

std::optional<std::string> read_text(Source& source, Report& report) {
    Window window(source);
    if (source.size() > kMostTextBytes) {
        report.damage(0, fmt::format("{} bytes are no checkpoint: the limit is {}", source.size(),
                                     kMostTextBytes));
        return std::nullopt;
    }
    const auto bytes = window.view(0, static_cast<size_t>(source.size()));
    if (!bytes) {
        report.damage(0, bytes.error().detail);
        return std::nullopt;
    }
    return std::string(as_text(*bytes));
}

}  // namespace

void print_checkpoint(Source& source, const InspectOptions& options, Report& report) {
    const auto text = read_text(source, report);
    if (!text) return;
    auto kind = text_kind_of(report.file());
    if (!kind) kind = guess_kind(*text);
    switch (*kind) {
        case TextKind::offsets: return print_offsets(*text, report);
        case TextKind::leader_epochs: return print_leader_epochs(*text, report);
        case TextKind::partition_metadata:
            print_properties(*text, ": ", report);
            return judge(storage::parse_partition_metadata(*text), report);
        case TextKind::meta_properties:
            print_properties(*text, "=", report);
            return judge(storage::parse_meta_properties(*text), report);
        case TextKind::clean_shutdown: return print_clean_shutdown(*text, report);
        case TextKind::catalogue: return print_catalogue(*text, options, report);
        case TextKind::retired_journal: return print_retired(*text, report);
        case TextKind::moved: return print_moved(*text, report);
    }
}

void print_quorum_state(Source& source, Report& report) {
    report.begin(kQuorumColumns);
    const auto text = read_text(source, report);
    if (!text) return;
    const auto state = raft::parse_quorum_state(*text);
    if (!state) return report.damage(0, state.error().detail);
    report.row(
        {int64_t{state->epoch.value()}, number_or(state->leader.value(), kNoBroker.value()),
         number_or(state->voted.id.value(), kNoBroker.value()),
         state->voted.directory.is_zero() ? nothing() : Cell{to_string(state->voted.directory)},
         json_number(*text, "data_version"), *text});
}

}  // namespace ottla::app
