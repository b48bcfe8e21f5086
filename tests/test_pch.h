// SPDX-License-Identifier: Apache-2.0
// The precompiled header of the tests: the product's, and gtest.
#pragma once

#include <gtest/gtest.h>

#include "../cmake/pch.h"
