// SPDX-License-Identifier: Apache-2.0
// Everything impure that one shard may touch, in one small bundle. The references outlive the broker.
#pragma once

#include "ottla/file.h"
#include "ottla/runtime.h"
#include "ottla/transport.h"

namespace ottla {

struct Ports {
    Runtime& runtime;
    FileSystem& files;
    Transport& transport;
};

}  // namespace ottla
