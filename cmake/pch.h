// SPDX-License-Identifier: Apache-2.0
// The one precompiled header: the standard headers that most units use, fmt, and the vocabulary.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <compare>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <expected>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

// The contracts: who changes one of them rebuilds nearly everything anyway. Every file still includes what it uses.
#include "ottla/buffer.h"
#include "ottla/check.h"
#include "ottla/op.h"
#include "ottla/ports.h"
#include "ottla/result.h"
#include "ottla/sync.h"
#include "ottla/task.h"
#include "ottla/types.h"
