// SPDX-License-Identifier: Apache-2.0
#include "raft/quorum_state.h"

#include <charconv>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "base/uuid.h"

namespace ottla::raft {
namespace {

/// Walks the one flat object of the file. Nested values are only skipped.
class JsonScanner {
public:
    explicit JsonScanner(std::string_view text) : rest_(text) {}

    bool take(char wanted) {
        skip_blanks();
        if (rest_.empty() || rest_.front() != wanted) return false;
        rest_.remove_prefix(1);
        return true;
    }
    std::optional<std::string_view> string() {
        if (!take('"')) return std::nullopt;
        const size_t end = rest_.find('"');
        if (end == std::string_view::npos) return std::nullopt;
        const std::string_view found = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        return found;
    }
    /// A string's content, or a number, word or nested value as it stands.
    std::optional<std::string_view> value() {
        skip_blanks();
        if (rest_.starts_with('"')) return string();
        size_t depth = 0;
        size_t at = 0;
        for (; at < rest_.size(); ++at) {
            const char c = rest_[at];
            if (c == '[' || c == '{') ++depth;
            if (depth == 0 && (c == ',' || c == '}')) break;
            if (c == ']' || c == '}') --depth;
        }
        if (at == 0 || at == rest_.size()) return std::nullopt;
        const std::string_view found = rest_.substr(0, at);
        rest_.remove_prefix(at);
        return found;
    }
    bool at_end() {
        skip_blanks();
        return rest_.empty();
    }

private:
    void skip_blanks() {
        while (!rest_.empty() && std::string_view(" \t\r\n").contains(rest_.front())) {
            rest_.remove_prefix(1);
        }
    }
    std::string_view rest_;
};

bool read_int(std::string_view text, int32_t& value) {
    while (text.ends_with(' ') || text.ends_with('\n')) text.remove_suffix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}

struct Fields {
    std::optional<int32_t> leader;
    std::optional<int32_t> epoch;
    std::optional<int32_t> voted;
    std::optional<Uuid> voted_directory;
    std::optional<int32_t> version;
};

bool read_field(std::string_view key, std::string_view value, Fields& fields) {
    int32_t number = 0;
    if (key == "votedDirectoryId") {
        fields.voted_directory = parse_uuid(value);
        return fields.voted_directory.has_value();
    }
    std::optional<int32_t>* target = key == "leaderId"       ? &fields.leader
                                     : key == "leaderEpoch"  ? &fields.epoch
                                     : key == "votedId"      ? &fields.voted
                                     : key == "data_version" ? &fields.version
                                                             : nullptr;
    if (target == nullptr) return true;
    if (!read_int(value, number)) return false;
    *target = number;
    return true;
}

bool read_object(std::string_view json, Fields& fields) {
    JsonScanner scanner(json);
    if (!scanner.take('{')) return false;
    do {
        const auto key = scanner.string();
        if (!key || !scanner.take(':')) return false;
        const auto value = scanner.value();
        if (!value || !read_field(*key, *value, fields)) return false;
    } while (scanner.take(','));
    return scanner.take('}') && scanner.at_end();
}

std::string voters_json(const VoterSet& voters) {
    std::string text = "[";
    for (const Voter& voter : voters.voters) {
        if (text.size() > 1) text += ',';
        text += fmt::format("{{\"voterId\":{}}}", voter.key.id.value());
    }
    return text + "]";
}

}  // namespace

std::string to_json(const QuorumState& state, int16_t kraft_version, const VoterSet& voters) {
    if (kraft_version == 0) {
        return fmt::format(
            "{{\"clusterId\":\"\",\"leaderId\":{},\"leaderEpoch\":{},\"votedId\":{},"
            "\"appliedOffset\":0,\"currentVoters\":{},\"data_version\":0}}",
            state.leader.value(), state.epoch.value(), state.voted.id.value(), voters_json(voters));
    }
    return fmt::format(
        "{{\"leaderId\":{},\"leaderEpoch\":{},\"votedId\":{},\"votedDirectoryId\":\"{}\","
        "\"data_version\":1}}",
        state.leader.value(), state.epoch.value(), state.voted.id.value(),
        to_string(state.voted.directory));
}

Result<QuorumState> parse_quorum_state(std::string_view json) {
    Fields fields;
    const bool complete = read_object(json, fields) && fields.leader && fields.epoch &&
                          fields.voted && fields.version;
    if (!complete)
        return fail(ErrorCode::corrupt, "quorum-state is not the JSON that Kafka writes");
    if (*fields.version < 0 || *fields.version > 1) {
        return fail(ErrorCode::corrupt,
                    fmt::format("quorum-state has data_version {}; this version reads 0 and 1",
                                *fields.version));
    }
    if (*fields.epoch < 0 || *fields.epoch == std::numeric_limits<int32_t>::max()) {
        return fail(ErrorCode::corrupt,
                    fmt::format("quorum-state has the epoch {}", *fields.epoch));
    }
    QuorumState state;
    state.epoch = LeaderEpoch{*fields.epoch};
    state.leader = BrokerId{*fields.leader};
    state.voted = {BrokerId{*fields.voted}, fields.voted_directory.value_or(Uuid{})};
    return state;
}

}  // namespace ottla::raft
