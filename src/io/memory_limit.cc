// SPDX-License-Identifier: Apache-2.0
#include "io/memory_limit.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <string_view>

namespace ottla::io {
namespace {

/// "max" and what cannot be read are no limit.
std::optional<uint64_t> limit_in(const std::string& path) {
    std::ifstream file(path);
    std::string word;
    if (!(file >> word)) return std::nullopt;
    uint64_t bytes = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), bytes);
    if (parsed.ec != std::errc() || parsed.ptr != word.data() + word.size()) return std::nullopt;
    return bytes;
}

/// The limits of a group and of all above it. Inside a container the path may name what the outside
/// sees, while the root that is mounted is the container's own: the root is always looked at.
uint64_t least_up(const std::string& root, std::string path, const char* name, uint64_t least) {
    for (;;) {
        while (path.ends_with('/')) path.pop_back();
        if (const auto limit = limit_in(root + path + "/" + name)) least = std::min(least, *limit);
        if (path.empty()) return least;
        path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
}

bool names_memory(std::string_view controllers) {
    while (!controllers.empty()) {
        const size_t comma = std::min(controllers.find(','), controllers.size());
        if (controllers.substr(0, comma) == "memory") return true;
        controllers.remove_prefix(std::min(comma + 1, controllers.size()));
    }
    return false;
}

uint64_t physical_memory() {
    const auto pages = static_cast<uint64_t>(std::max(0L, ::sysconf(_SC_PHYS_PAGES)));
    return pages * static_cast<uint64_t>(std::max(0L, ::sysconf(_SC_PAGESIZE)));
}

}  // namespace

uint64_t memory_limit(const MemorySources& sources) {
    uint64_t least = sources.physical_bytes != 0 ? sources.physical_bytes : physical_memory();
    std::ifstream membership(sources.membership);
    std::string line;
    // Each line is "hierarchy:controllers:path"; that of version 2 has no controllers.
    while (std::getline(membership, line)) {
        const size_t first = line.find(':');
        const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string_view controllers(line.data() + first + 1, second - first - 1);
        const std::string path = line.substr(second + 1);
        if (controllers.empty()) {
            least = least_up(sources.groups, path, "memory.max", least);
            least = least_up(sources.groups + "/unified", path, "memory.max", least);
        } else if (names_memory(controllers)) {
            least = least_up(sources.groups + "/memory", path, "memory.limit_in_bytes", least);
        }
    }
    return least;
}

void return_large_blocks() {
    constexpr int kLarge = 128 * 1024;
    // Set once, it no longer grows with what is freed.
    ::mallopt(M_MMAP_THRESHOLD, kLarge);
}

}  // namespace ottla::io
