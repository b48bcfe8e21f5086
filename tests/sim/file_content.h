// SPDX-License-Identifier: Apache-2.0
// The bytes of one simulated file: what a reader sees now, and everything a power cut may leave.
//
// Pages of 4096 bytes, sparse. A dirty page keeps its *states*: the durable one, the one after each
// version that changed it, and the current one. A sync up to version V makes the newest state at or
// below V the durable one; a power cut picks one state per 512-byte sector, so any subset of
// sectors survives, and a sector written twice may come back as its first writing. Sizes are kept
// the same way, independent of the data (file.h, contract 2). A failed sync turns sectors into
// *lost* ones (contract 5): readers still see them, syncs no longer carry them, a power cut takes
// them back. Work is proportional to the pages that are dirty. pure
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "tests/sim/random.h"

namespace ottla::sim {

/// How much of what is unsynced outlives a power cut.
struct Survival {
    enum class Kind : uint8_t { nothing, everything, some };
    Kind kind = Kind::some;
    uint32_t per_million = 500'000;  ///< with `some`: each sector, each name
    bool keep(Random& random) const {
        if (kind == Kind::nothing) return false;
        return kind == Kind::everything || random.chance(per_million);
    }
    /// A quarter nothing, a quarter everything, else a share of 10, 50 or 90 percent.
    static Survival draw(Random& random);
};

class FileContent {
public:
    static constexpr size_t kPage = 4096;

    [[nodiscard]] uint64_t size() const { return size_; }
    /// What is there now; less than asked only at the end of the file.
    size_t read(uint64_t position, std::span<std::byte> into) const;
    /// `version` names the operation and grows; bytes of one operation share it.
    void write(uint64_t position, std::span<const std::byte> bytes, uint64_t version);
    /// Grows with zeros or cuts.
    void resize(uint64_t size, uint64_t version);

    /// What carried versions up to `version` is durable now.
    void sync(uint64_t version);
    /// A sync up to `version` failed: part of what it covered is lost.
    void lose(uint64_t version, Random& random);
    /// The machine lost power; what is left is durable.
    void power_cut(Survival survival, Random& random);
    [[nodiscard]] bool is_dirty() const {
        return !dirty_.empty() || !sizes_.empty() || !lost_.empty() || size_ != durable_size_;
    }
    /// Storage decays: one bit, now and in what is durable.
    void flip_bit(uint64_t position, unsigned bit);
    /// Pages that hold bytes, for space accounting.
    [[nodiscard]] size_t pages() const { return pages_.size(); }
    [[nodiscard]] bool has_page(uint64_t index) const { return pages_.contains(index); }

private:
    using Bytes = std::array<std::byte, kPage>;
    struct State {
        uint64_t version = 0;
        std::unique_ptr<Bytes> bytes;  ///< null: zeros
    };
    struct Page {
        Bytes now{};
        uint64_t version = 0;        ///< of `now`
        std::vector<State> earlier;  ///< not empty exactly when dirty; the first is the durable one
        uint8_t lost = 0;            ///< sectors that a failed sync dropped
        std::unique_ptr<Bytes> lost_bytes;  ///< what the disk holds of them
    };
    struct SizeChange {
        uint64_t version;
        uint64_t size;
    };

    Page& touch(uint64_t index, uint64_t version);
    void settle_lost(Page& page, uint64_t index, size_t first, size_t end);
    void set_size(uint64_t size, uint64_t version);
    void zero_from(uint64_t position, uint64_t version);
    static void sync_page(Page& page, uint64_t version);
    static void cut_page(Page& page, Survival survival, Random& random);
    void cut_size(Survival survival, Random& random);

    std::map<uint64_t, Page> pages_;
    std::set<uint64_t> dirty_;
    std::set<uint64_t> lost_;
    uint64_t size_ = 0;
    uint64_t durable_size_ = 0;
    std::vector<SizeChange> sizes_;  ///< since the last sync
};

}  // namespace ottla::sim
