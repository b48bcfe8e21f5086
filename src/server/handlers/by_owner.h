// SPDX-License-Identifier: Apache-2.0
// A request that names partitions, put to the shards that own them: each shard is asked once, all at the same
// time, and every answer finds its place in the response again.
//
//   ByOwner<Item> asked;                          while the request is walked: asked.add(...)
//   ask(context, std::move(asked), call)          call(Shard&, vector<Item>) gives a Task of as many answers, in order
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "ottla/sync.h"
#include "server/context.h"

namespace ottla::server {

/// Of a partition in a response: its topic's, and its own below that.
struct Place {
    size_t topic = 0;
    size_t partition = 0;
};

template <class Item>
class ByOwner {
public:
    struct Group {
        std::vector<Item> items;
        std::vector<Place> places;
    };

    void add(ShardIndex owner, Item item, Place place) {
        Group& group = groups_[owner];
        group.items.push_back(std::move(item));
        group.places.push_back(place);
    }
    [[nodiscard]] std::map<ShardIndex, Group>& groups() { return groups_; }

private:
    std::map<ShardIndex, Group> groups_;
};

/// Answers in no particular order, each with its place.
template <class Answer, class Item, class Call>
Task<std::vector<std::pair<Place, Answer>>> ask(Context context, ByOwner<Item> asked, Call call) {
    std::vector<Task<std::vector<Answer>>> calls;
    for (auto& [owner, group] : asked.groups()) {
        auto work = [call, items = std::move(group.items)](broker::Shard& there) mutable {
            return call(there, std::move(items));
        };
        calls.push_back(context.shard.on(owner, std::move(work)));
    }
    auto all = when_all(context.shard.runtime(), std::move(calls));
    std::vector<std::vector<Answer>> answers = co_await std::move(all);
    std::vector<std::pair<Place, Answer>> placed;
    size_t which = 0;
    for (auto& [owner, group] : asked.groups()) {
        for (size_t i = 0; i < group.places.size(); ++i) {
            placed.emplace_back(group.places[i], std::move(answers[which][i]));
        }
        ++which;
    }
    co_return placed;
}

}  // namespace ottla::server
