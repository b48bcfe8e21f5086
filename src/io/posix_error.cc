// SPDX-License-Identifier: Apache-2.0
#include "io/posix_error.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace ottla::io {

namespace {
std::string words(int error) { return std::generic_category().message(error); }
}  // namespace

ErrorCode code_of_file_error(int error) {
    switch (error) {
        case ENOSPC:
        case EDQUOT:
        case EFBIG: return ErrorCode::no_space;
        case ENOENT:
        case ENOTDIR: return ErrorCode::not_found;
        case EEXIST: return ErrorCode::already_exists;
        case EINVAL:
        case EBADF: return ErrorCode::invalid_argument;
        default: return ErrorCode::io_error;
    }
}

Error file_error(std::string_view doing, std::string_view path, int error) {
    return {code_of_file_error(error), fmt::format("{} {}: {}", doing, path, words(error))};
}

Error socket_error(std::string_view doing, int error) {
    ErrorCode code = ErrorCode::connection_reset;
    switch (error) {
        case ECONNREFUSED:
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EADDRNOTAVAIL: code = ErrorCode::connection_refused; break;
        case ETIMEDOUT: code = ErrorCode::request_timed_out; break;
        case EADDRINUSE: code = ErrorCode::already_exists; break;
        case EINVAL:
        case EACCES:
        case EAFNOSUPPORT: code = ErrorCode::invalid_argument; break;
        default: break;
    }
    return {code, fmt::format("{}: {}", doing, words(error))};
}

}  // namespace ottla::io
