// SPDX-License-Identifier: Apache-2.0
// Which leader epoch began at which offset: answers OffsetForLeaderEpoch and finds where two
// replicas part (KIP-101, KIP-279, KIP-320). Mirrors the file `leader-epoch-checkpoint`.
//
// Invariant: epochs and start offsets both rise strictly from entry to entry.
//
// The file (text): "0\n" version, "<count>\n", then "<epoch> <start offset>\n" for each entry.
// pure
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ottla/result.h"
#include "ottla/types.h"

namespace ottla::storage {

struct EpochStart {
    LeaderEpoch epoch;
    Offset start;
    auto operator<=>(const EpochStart&) const = default;
};

/// The answer of OffsetForLeaderEpoch: the epoch found and the first offset that is not its own.
struct EpochEnd {
    LeaderEpoch epoch = kNoLeaderEpoch;
    Offset end = kNoOffset;
    auto operator<=>(const EpochEnd&) const = default;
};

class LeaderEpochs {
public:
    /// `epoch` writes from `start` on. Later or equal entries that contradict it are dropped; a
    /// start inside the latest epoch with the same number changes nothing.
    void assign(LeaderEpoch epoch, Offset start);

    [[nodiscard]] std::optional<EpochStart> latest() const;
    [[nodiscard]] std::optional<EpochStart> earliest() const;
    /// The epoch that wrote `offset`; kNoLeaderEpoch when it is older than all entries.
    [[nodiscard]] LeaderEpoch epoch_at(Offset offset) const;
    /// May a batch that ends with `last` be of `epoch`? Yes where nothing is known of it.
    [[nodiscard]] bool allows(LeaderEpoch epoch, Offset last) const;
    /// Trap 55: latest epoch -> log end; unknown larger -> none; older than the first entry -> as
    /// asked, with the first entry's start; else the floor epoch with the next one's start.
    [[nodiscard]] EpochEnd end_of(LeaderEpoch requested, Offset log_end) const;

    /// The log was cut at `end`: entries that start there or later are gone.
    void truncate_end(Offset end);
    /// The log begins at `start` now: older entries go; the one that covers it starts there.
    void truncate_start(Offset start);

    [[nodiscard]] const std::vector<EpochStart>& entries() const { return entries_; }
    [[nodiscard]] std::string checkpoint() const;
    static Result<LeaderEpochs> parse(std::string_view text);
    bool operator==(const LeaderEpochs&) const = default;

private:
    std::vector<EpochStart> entries_;
};

}  // namespace ottla::storage
