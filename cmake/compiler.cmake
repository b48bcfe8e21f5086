# SPDX-License-Identifier: Apache-2.0
# The compiler and its flags, in one place. Why clang 19 and not GCC below 14: docs/adr (coroutines).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
    message(FATAL_ERROR
        "GCC ${CMAKE_CXX_COMPILER_VERSION} miscompiles coroutines: use clang 19 or GCC 14 and newer")
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
    message(FATAL_ERROR
        "clang ${CMAKE_CXX_COMPILER_VERSION} lacks what C++23 needs here: use clang 19 or GCC 14 and newer")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(OTTLA_SANITIZE "" CACHE STRING "address, thread, or empty")
option(OTTLA_WERROR "Warnings are errors" OFF)

add_library(ottla_flags INTERFACE)
target_compile_options(ottla_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
    -Wold-style-cast -Wno-missing-field-initializers -Wno-c99-designator
    -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
option(OTTLA_INLINE_LESS "Inlines only what is tiny: builds that are compiled more than they run" OFF)
if(OTTLA_INLINE_LESS AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(ottla_flags INTERFACE "SHELL:-mllvm -inline-threshold=20")
endif()
if(OTTLA_WERROR)
    target_compile_options(ottla_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(ottla_flags INTERFACE "SHELL:-Xclang -fno-pch-timestamp" -fpch-instantiate-templates)
endif()
if(OTTLA_SANITIZE STREQUAL "address")
    target_compile_options(ottla_flags INTERFACE
        -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(ottla_flags INTERFACE -fsanitize=address,undefined)
    target_compile_definitions(ottla_flags INTERFACE OTTLA_SANITIZED=1)
elseif(OTTLA_SANITIZE STREQUAL "thread")
    target_compile_options(ottla_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
    target_link_options(ottla_flags INTERFACE -fsanitize=thread)
    target_compile_definitions(ottla_flags INTERFACE OTTLA_SANITIZED=1)
endif()

find_program(OTTLA_MOLD mold)
if(OTTLA_MOLD)
    target_link_options(ottla_flags INTERFACE -fuse-ld=mold)
endif()

find_program(OTTLA_CCACHE ccache)
if(OTTLA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
        CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_PCH_EXTSUM=1
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
        ${OTTLA_CCACHE})
endif()
