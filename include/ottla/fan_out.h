// SPDX-License-Identifier: Apache-2.0
// fan_out: the same work on many things, a few at a time, so that waiting for disks or peers
// overlaps and memory stays bounded. Things start in rising order; after the first failure none is
// started any more, and it is returned once those on their way have ended.
//
//     auto loading = fan_out(runtime, logs.size(), 16, [this](size_t i) { return load(i); });
//     CO_TRY_STATUS(co_await std::move(loading));
//
// `each` returns a Task<Status>; it is a plain function that calls a coroutine, never one itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "ottla/result.h"
#include "ottla/sync.h"
#include "ottla/task.h"

namespace ottla {

namespace detail {

/// Takes the next thing as long as there is one. `next` and `each` live in fan_out's frame.
template <class Each>
Task<Status> fan_out_lane(size_t& next, size_t count, Each& each) {
    while (next < count) {
        const size_t mine = next++;
        Status done = co_await each(mine);
        if (done) continue;
        next = count;
        co_return done;
    }
    co_return Status();
}

}  // namespace detail

template <class Each>
Task<Status> fan_out(Runtime& runtime, size_t count, size_t at_once, Each each) {
    size_t next = 0;
    std::vector<Task<Status>> lanes;
    for (size_t i = 0; i < std::min(at_once, count); ++i) {
        lanes.push_back(detail::fan_out_lane(next, count, each));
    }
    auto all = when_all(runtime, std::move(lanes));
    const std::vector<Status> results = co_await std::move(all);
    for (const Status& one : results) CO_TRY_STATUS(one);
    co_return Status();
}

}  // namespace ottla
