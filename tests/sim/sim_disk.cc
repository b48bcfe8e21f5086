// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_disk.h"

#include <fmt/format.h>

#include <algorithm>

namespace ottla::sim {

namespace {

std::vector<std::string_view> split(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const size_t slash = path.find('/');
        const std::string_view part = path.substr(0, slash);
        if (!part.empty() && part != ".") parts.push_back(part);
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash + 1);
    }
    return parts;
}

void apply_change(Node::Names& names, const Node::NameChange& change) {
    if (!change.remove.empty()) names.erase(change.remove);
    if (!change.add.empty()) names[change.add] = change.node;
}

void add_files(const Node& directory, const std::string& prefix, std::vector<std::string>& out) {
    for (const auto& [name, node] : directory.names) {
        if (node->is_directory) {
            add_files(*node, prefix + "/" + name, out);
        } else {
            out.push_back(prefix + "/" + name);
        }
    }
}

}  // namespace

SimDisk::SimDisk(uint64_t id, Random random) : id_(id), random_(random) {
    root_ = make_node(true, "/");
    root_->links = 1;
}

NodeRef SimDisk::make_node(bool is_directory, const std::string& path) {
    auto node = std::make_shared<Node>();
    node->id = next_id_++;
    node->is_directory = is_directory;
    node->path = path;
    return node;
}

NodeRef SimDisk::find(std::string_view path) const {
    NodeRef at = root_;
    for (const std::string_view part : split(path)) {
        if (!at->is_directory) return nullptr;
        const auto entry = at->names.find(part);
        if (entry == at->names.end()) return nullptr;
        at = entry->second;
    }
    return at;
}

Result<SimDisk::Place> SimDisk::place(const std::string& path) const {
    const auto parts = split(path);
    if (parts.empty()) return fail(ErrorCode::invalid_argument, "the root has no name");
    NodeRef at = root_;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto entry = at->names.find(parts[i]);
        if (entry == at->names.end() || !entry->second->is_directory) {
            return fail(ErrorCode::not_found, path);
        }
        at = entry->second;
    }
    return Place{.directory = at, .name = std::string(parts.back())};
}

void SimDisk::change(const NodeRef& directory, Node::NameChange change) {
    apply_change(directory->names, change);
    directory->changes.push_back(std::move(change));
    mark_dirty(directory);
}

Result<NodeRef> SimDisk::open(const std::string& path, const OpenOptions& options, WallTime now) {
    TRY(const Place where, place(path));
    const auto entry = where.directory->names.find(where.name);
    NodeRef node = entry == where.directory->names.end() ? nullptr : entry->second;
    if (node && node->is_directory) return fail(ErrorCode::io_error, path + " is a directory");
    if (node && options.create && options.exclusive) return fail(ErrorCode::already_exists, path);
    if (!node && !options.create) return fail(ErrorCode::not_found, path);
    if (!node) {
        node = make_node(false, path);
        node->modified = now;
        node->links = 1;
        change(where.directory,
               {.version = next_version(), .remove = {}, .add = where.name, .node = node});
    } else if (options.truncate) {
        truncate(node, 0, next_version());
    }
    ++node->opens;
    return node;
}

Result<FileStatus> SimDisk::status(const std::string& path) const {
    const NodeRef node = find(path);
    if (!node) return fail(ErrorCode::not_found, path);
    return FileStatus{.size = node->content.size(),
                      .is_directory = node->is_directory,
                      .modified = node->modified};
}

Result<std::vector<DirectoryEntry>> SimDisk::list(const std::string& path) const {
    const NodeRef node = find(path);
    if (!node || !node->is_directory) return fail(ErrorCode::not_found, path);
    std::vector<DirectoryEntry> entries;
    for (const auto& [name, child] : node->names) {
        entries.push_back({.name = name, .is_directory = child->is_directory});
    }
    return entries;
}

Status SimDisk::make_directory(const std::string& path) {
    TRY(const Place where, place(path));
    if (where.directory->names.contains(where.name)) return fail(ErrorCode::already_exists, path);
    NodeRef node = make_node(true, path);
    node->links = 1;
    change(where.directory,
           {.version = next_version(), .remove = {}, .add = where.name, .node = std::move(node)});
    return {};
}

Status SimDisk::remove_directory(const std::string& path) {
    TRY(const Place where, place(path));
    const auto entry = where.directory->names.find(where.name);
    if (entry == where.directory->names.end()) return fail(ErrorCode::not_found, path);
    const NodeRef node = entry->second;
    if (!node->is_directory || !node->names.empty()) {
        return fail(ErrorCode::io_error, path + " is not an empty directory");
    }
    change(where.directory,
           {.version = next_version(), .remove = where.name, .add = {}, .node = nullptr});
    dropped(node);
    return {};
}

Status SimDisk::rename(const std::string& from, const std::string& to) {
    TRY(const Place source, place(from));
    TRY(const Place target, place(to));
    const auto entry = source.directory->names.find(source.name);
    if (entry == source.directory->names.end()) return fail(ErrorCode::not_found, from);
    const NodeRef node = entry->second;
    const auto there = target.directory->names.find(target.name);
    const NodeRef replaced = there == target.directory->names.end() ? nullptr : there->second;
    if (replaced == node) return {};
    if (replaced && (replaced->is_directory != node->is_directory || !replaced->names.empty())) {
        return fail(ErrorCode::io_error, to + " cannot be replaced");
    }
    const uint64_t version = next_version();
    if (source.directory == target.directory) {
        change(source.directory,
               {.version = version, .remove = source.name, .add = target.name, .node = node});
    } else {
        // One version, so one chance: both directories keep it or none.
        change(target.directory,
               {.version = version, .remove = {}, .add = target.name, .node = node});
        change(source.directory,
               {.version = version, .remove = source.name, .add = {}, .node = nullptr});
    }
    if (replaced) dropped(replaced);
    return {};
}

Status SimDisk::unlink(const std::string& path) {
    TRY(const Place where, place(path));
    const auto entry = where.directory->names.find(where.name);
    if (entry == where.directory->names.end()) return fail(ErrorCode::not_found, path);
    const NodeRef node = entry->second;
    if (node->is_directory) return fail(ErrorCode::io_error, path + " is a directory");
    change(where.directory,
           {.version = next_version(), .remove = where.name, .add = {}, .node = nullptr});
    dropped(node);
    return {};
}

void SimDisk::dropped(const NodeRef& node) {
    --node->links;
    if (node->links == 0 && node->opens == 0) release_space(*node);
}

void SimDisk::closed(const NodeRef& node) {
    if (node->opens > 0) --node->opens;
    if (node->links == 0 && node->opens == 0) release_space(*node);
}

void SimDisk::release_space(Node& node) {
    used_pages_ -= std::min<uint64_t>(used_pages_, node.reserved.size());
    node.reserved.clear();
}

void SimDisk::settle_names(const NodeRef& directory, uint64_t version) {
    auto& changes = directory->changes;
    size_t covered = 0;
    while (covered < changes.size() && changes[covered].version <= version) {
        apply_change(directory->durable_names, changes[covered]);
        ++covered;
    }
    changes.erase(changes.begin(), changes.begin() + static_cast<ptrdiff_t>(covered));
}

Status SimDisk::sync_directory(const std::string& path, uint64_t version) {
    const NodeRef node = find(path);
    if (!node || !node->is_directory) return fail(ErrorCode::not_found, path);
    settle_names(node, version);
    if (node->changes.empty()) dirty_.erase(node->id);
    return {};
}

void SimDisk::forget_untold() {
    for (const auto& entry : untold_) {
        if (const NodeRef node = entry.lock()) node->write_back_failed = false;
    }
    untold_.clear();
}

bool SimDisk::goes_wrong(uint32_t per_million, const std::string& path) {
    const bool drawn = random_.chance(per_million);
    return drawn && path.starts_with(faults.only_under);
}

std::optional<ErrorCode> SimDisk::count_operation() {
    ++operations_;
    if (strike.kind == DiskStrike::Kind::none || operations_ != strike.at) return {};
    if (strike.kind == DiskStrike::Kind::io_error) return ErrorCode::io_error;
    if (strike.kind == DiskStrike::Kind::no_space) return ErrorCode::no_space;
    stands_still_ = true;
    return {};
}

void SimDisk::sync_all(uint64_t version) {
    for (auto at = dirty_.begin(); at != dirty_.end();) {
        const NodeRef node = at->second.lock();
        if (node && node->is_directory) settle_names(node, version);
        const bool may_fail = node && !node->is_directory && faults.write_back_error != 0;
        if (may_fail && goes_wrong(faults.write_back_error, node->path)) {
            node->content.lose(version, random_);
            node->write_back_failed = true;
            untold_.push_back(node);
        }
        if (node && !node->is_directory) node->content.sync(version);
        const bool clean = !node || (node->changes.empty() && !node->content.is_dirty());
        at = clean ? dirty_.erase(at) : std::next(at);
    }
}

void SimDisk::sync(const NodeRef& node, uint64_t version) {
    node->content.sync(version);
    if (!node->content.is_dirty()) dirty_.erase(node->id);
}

Status SimDisk::lock(const std::string& path, uint64_t holder, WallTime now) {
    const auto held = locks_.find(path);
    if (held != locks_.end()) return fail(ErrorCode::locked, path);
    TRY(const NodeRef node, open(path, {.write = true, .create = true}, now));
    closed(node);
    locks_.emplace(path, holder);
    return {};
}

void SimDisk::unlock(const std::string& path, uint64_t holder) {
    const auto held = locks_.find(path);
    if (held != locks_.end() && held->second == holder) locks_.erase(held);
}

void SimDisk::release_locks(uint64_t holder) {
    std::erase_if(locks_, [holder](const auto& lock) { return lock.second == holder; });
}

bool SimDisk::reserve(Node& node, uint64_t page) {
    if (node.reserved.contains(page)) return true;
    if (used_pages_ >= capacity_pages_) return false;
    node.reserved.insert(page);
    ++used_pages_;
    return true;
}

size_t SimDisk::write(const NodeRef& node,
                      uint64_t position,
                      std::span<const std::byte> bytes,
                      uint64_t version,
                      WallTime now) {
    size_t fits = 0;
    while (fits < bytes.size()) {
        const uint64_t at = position + fits;
        if (!reserve(*node, at / FileContent::kPage)) break;
        fits += std::min<size_t>(bytes.size() - fits, FileContent::kPage - at % FileContent::kPage);
    }
    node->content.write(position, bytes.first(fits), version);
    node->modified = now;
    mark_dirty(node);
    return fits;
}

Status SimDisk::allocate(const NodeRef& node,
                         uint64_t position,
                         uint64_t length,
                         uint64_t version) {
    const uint64_t first = position / FileContent::kPage;
    const uint64_t end = (position + length + FileContent::kPage - 1) / FileContent::kPage;
    uint64_t missing = 0;
    for (uint64_t page = first; page < end; ++page)
        missing += node->reserved.contains(page) ? 0 : 1;
    if (used_pages_ + missing > capacity_pages_) return fail(ErrorCode::no_space, node->path);
    for (uint64_t page = first; page < end; ++page) reserve(*node, page);
    if (position + length > node->content.size()) node->content.resize(position + length, version);
    mark_dirty(node);
    return {};
}

void SimDisk::truncate(const NodeRef& node, uint64_t size, uint64_t version) {
    node->content.resize(size, version);
    const auto first =
        node->reserved.lower_bound((size + FileContent::kPage - 1) / FileContent::kPage);
    used_pages_ -= static_cast<uint64_t>(std::distance(first, node->reserved.end()));
    node->reserved.erase(first, node->reserved.end());
    mark_dirty(node);
}

std::optional<ErrorCode> SimDisk::planned_failure(bool of_file,
                                                  FileOp::Kind file_kind,
                                                  FileSystemOp::Kind name_kind,
                                                  const std::string& path) {
    for (auto at = planned_.begin(); at != planned_.end(); ++at) {
        const bool same_kind = of_file ? at->file_kind == file_kind : at->name_kind == name_kind;
        if (at->of_file != of_file || !same_kind) continue;
        if (path.find(at->path) == std::string::npos) continue;
        const ErrorCode error = at->error;
        planned_.erase(at);
        return error;
    }
    return {};
}

void SimDisk::power_cut(std::optional<Survival> fixed) {
    const Survival survival = fixed ? *fixed : Survival::draw(random_);
    const uint64_t salt = random_.next();
    for (const auto& [id, entry] : dirty_) {
        const NodeRef node = entry.lock();
        if (!node) continue;
        if (!node->is_directory) {
            node->content.power_cut(survival, random_);
            continue;
        }
        for (const Node::NameChange& change : node->changes) {
            Random coin(salt ^ change.version);  // Both halves of a rename draw the same.
            if (survival.keep(coin)) apply_change(node->durable_names, change);
        }
        node->changes.clear();
        node->names = node->durable_names;
    }
    dirty_.clear();
    locks_.clear();
    planned_.clear();
    forget_untold();
    stands_still_ = false;
    used_pages_ = 0;
    root_->links = 0;
    recount(root_);
}

void SimDisk::recount(const NodeRef& node) {
    node->links = 1;
    node->opens = 0;
    if (!node->is_directory) {
        const uint64_t end = (node->content.size() + FileContent::kPage - 1) / FileContent::kPage;
        node->reserved.erase(node->reserved.lower_bound(end), node->reserved.end());
        used_pages_ += node->reserved.size();
    }
    for (const auto& [name, child] : node->names) recount(child);
}

uint64_t SimDisk::free_space() const {
    return (capacity_pages_ - std::min(capacity_pages_, used_pages_)) * FileContent::kPage;
}

void SimDisk::prepare_directory(const std::string& path) {
    std::string so_far;
    for (const std::string_view part : split(path)) {
        const std::string above = so_far.empty() ? "/" : so_far;
        so_far += fmt::format("/{}", part);
        if (find(so_far)) continue;
        CHECK(make_directory(so_far).has_value(), "the directory above exists");
        settle_names(find(above), version_);
    }
}

std::optional<std::string> SimDisk::contents(const std::string& path) const {
    const NodeRef node = find(path);
    if (!node || node->is_directory) return {};
    std::string bytes(node->content.size(), '\0');
    node->content.read(0, std::as_writable_bytes(std::span(bytes.data(), bytes.size())));
    return bytes;
}

uint32_t SimDisk::opens(const std::string& path) const {
    const NodeRef node = find(path);
    return node ? node->opens : 0;
}

void SimDisk::put(const std::string& path, std::string_view bytes) {
    auto node = open(path, {.write = true, .create = true, .truncate = true}, WallTime{});
    CHECK(node.has_value(), "the directory exists");
    write(*node, 0, ottla::as_bytes(bytes), next_version(), WallTime{});
    closed(*node);
    sync(*node, version_);
    const auto where = place(path);
    settle_names(where->directory, version_);
}

bool SimDisk::flip_bit(const std::string& path, uint64_t position, unsigned bit) {
    const NodeRef node = find(path);
    if (!node || position >= node->content.size()) return false;
    node->content.flip_bit(position, bit);
    return true;
}

std::vector<std::string> SimDisk::files() const {
    std::vector<std::string> out;
    add_files(*root_, "", out);
    return out;
}

}  // namespace ottla::sim
