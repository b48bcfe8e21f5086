// SPDX-License-Identifier: Apache-2.0
#include "io/tcp_send.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace ottla::io {

namespace {

constexpr size_t kPiecesPerCall = 1024;  // IOV_MAX on Linux.
/// A thread that copies inside the kernel is in the way of whoever wakes up on its core: a mebibyte would be
/// for 100 to 300 us.
constexpr size_t kBytesPerCall = 256UZ * 1024;
using Pieces = std::vector<Buffer>;

void advance(const Pieces& pieces, SendPlace& place, size_t sent) {
    sent += place.of_piece;
    while (place.piece < pieces.size() && sent >= pieces[place.piece].size()) {
        sent -= pieces[place.piece++].size();
    }
    place.of_piece = sent;
}

ssize_t send_once(int descriptor, const Pieces& pieces, const SendPlace& place, size_t at_most) {
    std::array<iovec, kPiecesPerCall> vectors;
    size_t count = 0;
    size_t bytes = 0;
    for (size_t i = place.piece; i < pieces.size() && count < vectors.size() && bytes < at_most;
         ++i) {
        const size_t skip = i == place.piece ? place.of_piece : 0;
        const size_t size = std::min(pieces[i].size() - skip, at_most - bytes);
        vectors[count++] = {const_cast<std::byte*>(pieces[i].data()) + skip, size};
        bytes += size;
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    return ::sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

Sent send_pieces(int descriptor, const Chain& chain, SendPlace& place, size_t at_most) {
    const Pieces& pieces = chain.pieces();
    Sent outcome;
    while (place.piece < pieces.size()) {
        if (outcome.bytes == at_most) {
            outcome.end = Sent::End::limit;
            return outcome;
        }
        const ssize_t sent =
            send_once(descriptor, pieces, place, std::min(at_most - outcome.bytes, kBytesPerCall));
        if (sent >= 0) {
            outcome.bytes += static_cast<size_t>(sent);
            advance(pieces, place, static_cast<size_t>(sent));
        } else if (errno == EAGAIN) {
            outcome.end = Sent::End::blocked;
            return outcome;
        } else if (errno != EINTR) {
            outcome.end = Sent::End::failed;
            outcome.error = errno;
            return outcome;
        }
    }
    return outcome;
}

}  // namespace ottla::io
