// SPDX-License-Identifier: Apache-2.0
#include "storage/replayed_file.h"

#include <algorithm>
#include <utility>

#include "storage/atomic_file.h"

namespace ottla::storage {

Task<Status> ReplayedFile::open() {
    if (file_ != nullptr) co_return Status();
    OpenOptions options;
    options.write = true;
    options.create = true;
    CO_TRY(file_, co_await files_.open(path_, options));
    ++among_.open;
    // Later nobody but us has changed it.
    if (!std::exchange(opened_, true)) size_ = file_->opened_size();
    co_return Status();
}

void ReplayedFile::rest() {
    if (among_.open > among_.most) close();
}

void ReplayedFile::close() {
    if (file_ != nullptr) --among_.open;
    file_.reset();
}

Task<Result<Buffer>> ReplayedFile::read(uint64_t position, uint64_t length) {
    BlockRef block = make_block(length);
    CO_TRY(const size_t got, co_await file_->read(position, length, block));
    co_return Buffer{std::move(block), 0, got};
}

Task<Status> ReplayedFile::write(uint64_t position, Chain bytes) {
    const uint64_t end = position + bytes.size();
    CO_TRY([[maybe_unused]] size_t written, co_await file_->write(position, std::move(bytes)));
    resized_ = resized_ || end > size_;
    size_ = std::max(size_, end);
    co_return Status();
}

Task<Status> ReplayedFile::write_end(uint64_t position, Chain bytes) {
    const uint64_t end = position + bytes.size();
    if (size_ > end || (size_ == end && !resized_)) CO_TRY_STATUS(co_await resize(end - 1));
    co_return co_await write(position, std::move(bytes));
}

Task<Status> ReplayedFile::end_at(uint64_t size) {
    if (size_ != size) co_return co_await resize(size);
    if (std::exchange(resized_, true)) co_return Status();
    co_return co_await resize_anew(*file_, size);
}

Task<Status> ReplayedFile::resize(uint64_t size) {
    CO_TRY([[maybe_unused]] size_t done, co_await file_->truncate(size));
    size_ = size;
    resized_ = true;
    co_return Status();
}

Task<Status> ReplayedFile::check() {
    if (file_ == nullptr) co_return co_await sync_file(files_, path_, SyncBy::sweep);
    const auto arrived = co_await file_->check();
    if (!arrived) co_return std::unexpected(arrived.error());
    close();
    co_return Status();
}

}  // namespace ottla::storage
