// SPDX-License-Identifier: Apache-2.0
// CHECK(cond, "why"): a programmer's error. On in every build; prints and aborts, because a broker
// that restarts recovers and one that goes on corrupts. DCHECK is the same, compiled out of release.
// pure
#pragma once

namespace ottla {
[[noreturn]] void check_failed(const char* condition, const char* file, int line, const char* why);
}

#define CHECK(condition, why)                                                    \
    do {                                                                         \
        if (!(condition)) [[unlikely]]                                           \
            ::ottla::check_failed(#condition, __FILE__, __LINE__, why);          \
    } while (false)

#ifdef NDEBUG
#define DCHECK(condition, why) \
    do {                       \
    } while (false && (condition))
#else
#define DCHECK(condition, why) CHECK(condition, why)
#endif
