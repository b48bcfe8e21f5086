// SPDX-License-Identifier: Apache-2.0
// Runs the stories of tests/scenarios/raft: each paragraph is a command, a line of dashes and what
// the core says. Commands:
//
//   start [epoch=N] [leader=N] [end=N] [last-epoch=N] [kraft=N] [voters-in-log] [voters=1,2,...]
//   [self=N] tick                        time passes propose N                   a batch of N
//   records for the current end and epoch propose N at=O epoch=E      ... built for another place
//   persisted O                 everything up to offset O is on the disk
//   state                       what the core knows
//
// Every command ends with take_output(), printed in the order in which a driver performs it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include <fmt/format.h>

#include "raft/raft.h"
#include "records/control.h"

namespace ottla::raft {
namespace {

struct Command {
    std::string name;
    std::vector<std::string> words;
    std::map<std::string, std::string> options;

    explicit Command(const std::string& line) {
        std::istringstream in(line);
        in >> name;
        for (std::string word; in >> word;) {
            const size_t equals = word.find('=');
            if (equals == std::string::npos) {
                words.push_back(word);
            } else {
                options[word.substr(0, equals)] = word.substr(equals + 1);
            }
        }
    }
    [[nodiscard]] int number(const std::string& option, int otherwise) const {
        const auto found = options.find(option);
        return found == options.end() ? otherwise : std::stoi(found->second);
    }
    [[nodiscard]] bool has(const std::string& word) const {
        return std::ranges::find(words, word) != words.end();
    }
};

const char* name_of(ControlType type) {
    switch (type) {
        case ControlType::leader_change: return "LeaderChange";
        case ControlType::kraft_version: return "KRaftVersion";
        case ControlType::kraft_voters: return "KRaftVoters";
        default: return "?";
    }
}

std::string describe(const Buffer& batch) {
    const BatchView view{batch.span()};
    EXPECT_TRUE(crc_matches(view));
    std::string what = fmt::format("append [{}, {}) epoch {}", view.base_offset().value(),
                                   view.offset_end().value(), view.leader_epoch().value());
    if (!view.is_control()) return what + "\n";
    RecordIterator records(view, view.payload());
    for (Record record; records.next(record);) {
        what += fmt::format(" {}", name_of(parse_control(record)->type));
    }
    return what + "\n";
}

class Story {
public:
    std::string run(const Command& command) {
        if (command.name == "start") return start(command);
        if (!raft_) return "not started\n";
        std::string said;
        if (command.name == "tick") {
            raft_->tick(Instant{}, WallTime{1000});
        } else if (command.name == "propose") {
            said = propose(command);
        } else if (command.name == "persisted") {
            raft_->persisted(Offset{std::stoi(command.words.at(0))});
        } else if (command.name == "state") {
            return state();
        } else {
            return "no such command\n";
        }
        return said + output();
    }

private:
    std::string start(const Command& command) {
        RaftStart from;
        from.self = {BrokerId{command.number("self", 1)}, Uuid{{1}}};
        const auto voters = command.options.find("voters");
        std::istringstream ids(voters == command.options.end() ? "1" : voters->second);
        for (std::string id; std::getline(ids, id, ',');) {
            Voter voter;
            voter.key = {BrokerId{std::stoi(id)}, Uuid{{1}}};
            voter.endpoints = {{"CONTROLLER", "localhost", 9093}};
            from.voters.voters.push_back(voter);
        }
        from.kraft_version = static_cast<int16_t>(command.number("kraft", 1));
        from.voters_in_log = command.has("voters-in-log");
        from.state.epoch = LeaderEpoch{command.number("epoch", 0)};
        from.state.leader = BrokerId{command.number("leader", -1)};
        from.log_end = Offset{command.number("end", 0)};
        from.last_epoch = LeaderEpoch{command.number("last-epoch", 0)};
        auto raft = Raft::create(from);
        if (!raft) return "refused: " + raft.error().detail + "\n";
        raft_ = *std::move(raft);
        return output();
    }

    std::string propose(const Command& command) {
        Codecs codecs;
        BatchOptions options;
        options.base_offset =
            Offset{command.number("at", static_cast<int>(raft_->log_end().value()))};
        options.leader_epoch = LeaderEpoch{command.number("epoch", raft_->epoch().value())};
        BatchBuilder builder(codecs, options);
        for (int i = 0; i < std::stoi(command.words.at(0)); ++i) {
            builder.append(WallTime{1000}, std::nullopt, as_bytes("record"));
        }
        const auto end = raft_->propose(Instant{}, *builder.finish());
        if (!end) return "refused: " + end.error().detail + "\n";
        return fmt::format("answer when {} is committed\n", end->value());
    }

    std::string output() {
        const RaftOutput output = raft_->take_output();
        std::string said;
        if (output.quorum_state) {
            said += fmt::format("write {}\n", to_json(*output.quorum_state, 1, {}));
        }
        for (const Buffer& batch : output.append) said += describe(batch);
        if (output.high_watermark) {
            said += fmt::format("apply up to {}\n", output.high_watermark->value());
        }
        return said.empty() ? "nothing\n" : said;
    }

    std::string state() const {
        return fmt::format("{} of epoch {}, log end {}, durable {}, committed {}\n",
                           raft_->is_leader() ? "leader" : "unattached", raft_->epoch().value(),
                           raft_->log_end().value(), raft_->durable_end().value(),
                           raft_->high_watermark().value());
    }

    std::optional<Raft> raft_;
};

class RaftScenario : public testing::TestWithParam<std::string> {};

TEST_P(RaftScenario, TellsTheSameStory) {
    std::ifstream file(std::string(OTTLA_SCENARIOS) + "/" + GetParam());
    ASSERT_TRUE(file.is_open());
    Story story;
    size_t commands = 0;
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line.starts_with('#')) continue;
        const Command command(line);
        std::string dashes;
        std::getline(file, dashes);
        ASSERT_EQ(dashes, "----") << "behind: " << line;
        std::string expected;
        for (std::string said; std::getline(file, said) && !said.empty();) expected += said + "\n";
        EXPECT_EQ(story.run(command), expected) << "command: " << line;
        ++commands;
    }
    EXPECT_GT(commands, 0U);
}

std::vector<std::string> stories() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(OTTLA_SCENARIOS)) {
        names.push_back(entry.path().filename().string());
    }
    std::ranges::sort(names);
    return names;
}

INSTANTIATE_TEST_SUITE_P(Stories,
                         RaftScenario,
                         testing::ValuesIn(stories()),
                         [](const auto& story) {
                             std::string name = story.param.substr(0, story.param.find('.'));
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

}  // namespace
}  // namespace ottla::raft
