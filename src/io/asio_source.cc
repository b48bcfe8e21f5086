// SPDX-License-Identifier: Apache-2.0
// The compiled half of Boost.Asio, once (asio.h).
#include "io/asio.h"

#include <boost/asio/impl/src.hpp>
