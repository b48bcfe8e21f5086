// SPDX-License-Identifier: Apache-2.0
// Coroutine frames from per-thread free lists: 64-byte classes up to 2 KiB, at most kKept of a
// class. A frame freed on another thread than it came from just joins that thread's list (plain
// heap memory either way). Off under sanitizers, so that a use after free of a frame is seen. The
// one thread_local of the code base (DESIGN 4).
#include <array>
#include <cstdlib>
#include <new>

#include "ottla/task.h"

namespace ottla {

#ifdef OTTLA_SANITIZED

void* allocate_frame(size_t bytes) { return ::operator new(bytes); }
void free_frame(void* frame, size_t bytes) noexcept { ::operator delete(frame, bytes); }

#else

namespace {

constexpr size_t kStep = 64;
constexpr size_t kClasses = 32;
constexpr size_t kKept = 256;

struct FreeFrame {
    FreeFrame* next;
};

class FramePool {
public:
    ~FramePool() {
        for (FreeList& list : lists_) {
            while (list.head != nullptr) {
                ::operator delete(std::exchange(list.head, list.head->next));
            }
        }
    }
    void* take(size_t size_class) {
        FreeList& list = lists_[size_class];
        if (list.head == nullptr) return ::operator new((size_class + 1) * kStep);
        --list.count;
        return std::exchange(list.head, list.head->next);
    }
    void give(void* frame, size_t size_class) noexcept {
        FreeList& list = lists_[size_class];
        if (list.count == kKept) {
            ::operator delete(frame);
            return;
        }
        list.head = new (frame) FreeFrame{list.head};
        ++list.count;
    }

private:
    struct FreeList {
        FreeFrame* head = nullptr;
        size_t count = 0;
    };
    std::array<FreeList, kClasses> lists_;
};

FramePool& frame_pool() {
    thread_local FramePool pool;
    return pool;
}

}  // namespace

void* allocate_frame(size_t bytes) {
    const size_t size_class = (bytes - 1) / kStep;
    if (size_class >= kClasses) return ::operator new(bytes);
    return frame_pool().take(size_class);
}

void free_frame(void* frame, size_t bytes) noexcept {
    const size_t size_class = (bytes - 1) / kStep;
    if (size_class >= kClasses) {
        ::operator delete(frame);
        return;
    }
    frame_pool().give(frame, size_class);
}

#endif

}  // namespace ottla
