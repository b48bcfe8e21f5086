#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiler launcher for a precompiled header: compiles it, then writes beside it a checksum of what it
# contains, macros included. ccache (CCACHE_PCH_EXTSUM) hashes that file in place of the header itself,
# whose bytes name this directory: without it no other clone of the tree would ever hit.
set -eu
"$@"
previous='' output=''
for argument in "$@"; do
    [ "$previous" = -o ] && output=$argument
    previous=$argument
done
text=$("$@" -E -P -dD -MF /dev/null -o - 2>/dev/null | sha256sum)
printf '%s\n' "$text" >"$output.sum"
