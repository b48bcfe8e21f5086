// SPDX-License-Identifier: Apache-2.0
#include "ottla/check.h"

#include <cstdio>
#include <cstdlib>

namespace ottla {

void check_failed(const char* condition, const char* file, int line, const char* why) {
    std::fprintf(stderr, "CHECK failed at %s:%d: %s (%s)\n", file, line, condition, why);
    std::fflush(stderr);
    std::abort();
}

}  // namespace ottla
