// SPDX-License-Identifier: Apache-2.0
// SimFileSystem: a shard's view of its machine's disk. It gives each operation of SimDisk a
// duration, an owner that can cancel it, faults, and - when the process dies in the middle - a
// partial effect.
//
// The effect of an operation happens at its completion; a sync covers the versions that had
// completed when it began. `die` settles what is in flight: wholly, in part or not at all (contract
// 1), and from then on nothing of this shard reaches the disk any more.
#pragma once

#include <cstdint>
#include <map>

#include "ottla/file.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_runtime.h"

namespace ottla::sim {

class SimFileSystem final : public FileSystem, public OpOwner {
public:
    SimFileSystem(SimRuntime& runtime, SimDisk& disk, uint64_t lock_holder)
        : runtime_(runtime), disk_(disk), lock_holder_(lock_holder) {}

    void start(FileSystemOp& op) override;
    void cancel(Op& op) noexcept override;

    /// The process is killed or its machine loses power.
    void die();
    [[nodiscard]] SimDisk& disk() const { return disk_; }
    [[nodiscard]] SimRuntime& runtime() const { return runtime_; }

private:
    friend class SimFile;
    struct FileCall {
        OpList op;
        NodeRef node;
        FileOp::Kind kind = FileOp::Kind::read;
        uint64_t position = 0;
        uint64_t length = 0;
        Chain bytes;
        uint64_t began_at_version = 0;
        Duration started{};
    };
    struct NameCall {
        OpList op;
        NodeRef opened;  ///< put: it is empty, and about to be written
        uint64_t began_at_version = 0;
        Duration started{};
    };

    void start_file(FileOp& op, const NodeRef& node, bool direct, bool writable);
    void complete_file(uint64_t id);
    void complete_name(uint64_t id);
    Status perform(FileCall& call, FileOp& op, std::optional<ErrorCode> struck);
    Status perform(FileSystemOp& op, NameCall& call, std::optional<ErrorCode> struck);
    Status change_names(FileSystemOp& op);
    Status put(FileSystemOp& op, NameCall& call, std::optional<ErrorCode> planned);
    Status check(const NodeRef& node, uint64_t began_at_version, std::optional<ErrorCode> planned);
    Status write(const NodeRef& node,
                 uint64_t position,
                 std::span<const std::byte> bytes,
                 std::optional<ErrorCode> planned);
    void settle_write(const NodeRef& node, uint64_t position, const Buffer& all);
    void settle_name(NameCall& call);
    Duration duration_of(uint64_t bytes, bool is_sync);
    void trace(uint64_t what, uint64_t node, uint64_t position, uint64_t extra);

    SimRuntime& runtime_;
    SimDisk& disk_;
    const uint64_t lock_holder_;
    bool dead_ = false;
    uint64_t next_call_ = 1;
    std::map<uint64_t, FileCall> file_calls_;
    std::map<uint64_t, NameCall> name_calls_;
};

}  // namespace ottla::sim
