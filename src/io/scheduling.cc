// SPDX-License-Identifier: Apache-2.0
#include "io/scheduling.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

namespace ottla::io {

namespace {

constexpr uint64_t kShortTurn = 100'000;   // ns: the least that the kernel takes.
constexpr uint64_t kLongTurn = 3'000'000;  // ns
constexpr int32_t kStepBack = 2;           // nice: 0.64 of a shard's share when there is too little

/// The kernel's struct sched_attr, its first version: glibc has no declaration before 2.41.
struct SchedulingAttributes {
    uint32_t size = sizeof(SchedulingAttributes);
    uint32_t policy = 0;
    uint64_t flags = 0;
    int32_t nice = 0;
    uint32_t priority = 0;
    uint64_t runtime = 0;
    uint64_t deadline = 0;
    uint64_t period = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);

constexpr pid_t kThisThread = 0;
constexpr uint32_t kOtherPolicy = 0;  // SCHED_OTHER; who chose another one knows better.

}  // namespace

void schedule_as(ThreadKind kind) {
    SchedulingAttributes attributes;
    const long known =
        ::syscall(SYS_sched_getattr, kThisThread, &attributes, sizeof(attributes), 0);
    if (known != 0 || attributes.policy != kOtherPolicy) return;
    attributes.size = sizeof(attributes);
    attributes.flags = 0;
    attributes.runtime = kind == ThreadKind::prompt ? kShortTurn : kLongTurn;
    if (kind == ThreadKind::bulk) attributes.nice += kStepBack;
    (void)::syscall(SYS_sched_setattr, kThisThread, &attributes, 0);  // A wish, see above.
}

}  // namespace ottla::io
