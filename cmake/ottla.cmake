# SPDX-License-Identifier: Apache-2.0
# A module is one folder of src/: an OBJECT library (no archive to rewrite, fast relinks) that shares
# one precompiled header. Executables link every module they name; objects are not transitive.

# ottla_precompiled(name header): one precompiled header for many targets. Not CMake's own, which writes
# absolute paths into every command line, so that ccache misses in every other clone.
function(ottla_precompiled name header)
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        add_library(${name} OBJECT ${header})
        set_source_files_properties(${header} PROPERTIES LANGUAGE CXX HEADER_FILE_ONLY OFF)
        target_compile_options(${name} PRIVATE -x c++-header)
        set_target_properties(${name} PROPERTIES CXX_COMPILER_LAUNCHER ${CMAKE_SOURCE_DIR}/cmake/compile_pch.sh)
    else()
        file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/${name}.cc CONTENT "")
        add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/${name}.cc)
        target_precompile_headers(${name} PRIVATE ${header})
    endif()
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/include)
    target_link_libraries(${name} PUBLIC ottla_flags fmt::fmt)
endfunction()

# ottla_use_precompiled(target name): compiles target's sources on top of that header.
function(ottla_use_precompiled target name)
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        get_target_property(header ${name} SOURCES)
        get_target_property(folder ${name} BINARY_DIR)
        get_target_property(source ${name} SOURCE_DIR)
        cmake_path(ABSOLUTE_PATH header BASE_DIRECTORY ${source})
        cmake_path(RELATIVE_PATH header BASE_DIRECTORY ${source})
        cmake_path(RELATIVE_PATH folder BASE_DIRECTORY ${CMAKE_BINARY_DIR})
        set(built "${folder}/CMakeFiles/${name}.dir/${header}.o")
        cmake_path(NORMAL_PATH built)
        target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Winvalid-pch>
            "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-include-pch ${built}>")
        cmake_language(EVAL CODE "cmake_language(DEFER DIRECTORY [[${CMAKE_SOURCE_DIR}]]
            CALL ottla_wait_for_precompiled ${target} [[${CMAKE_BINARY_DIR}/${built}]])")
    else()
        target_precompile_headers(${target} REUSE_FROM ${name})
    endif()
endfunction()

# Called when every source of the target is known: each of them is rebuilt after the header.
function(ottla_wait_for_precompiled target built)
    get_target_property(sources ${target} SOURCES)
    get_target_property(folder ${target} SOURCE_DIR)
    foreach(source ${sources})
        cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${folder})
        set_property(SOURCE ${source} TARGET_DIRECTORY ${target} APPEND PROPERTY OBJECT_DEPENDS ${built})
    endforeach()
endfunction()

ottla_precompiled(ottla_pch ${CMAKE_SOURCE_DIR}/cmake/pch.h)

set_property(GLOBAL PROPERTY OTTLA_MODULES "")

# ottla_module(name SOURCES a.cc b.cc [LINK libs...]): src/<name>; include paths are src/ and include/.
function(ottla_module name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    add_library(ottla_${name} OBJECT ${ARG_SOURCES})
    target_include_directories(ottla_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src
        ${CMAKE_BINARY_DIR}/generated)
    target_link_libraries(ottla_${name} PUBLIC ottla_flags fmt::fmt ${ARG_LINK})
    ottla_use_precompiled(ottla_${name} ottla_pch)
    add_dependencies(ottla_${name} ottla_generated)
    if(NOT name STREQUAL "app")
        set_property(GLOBAL APPEND PROPERTY OTTLA_MODULES ottla_${name})
    endif()
endfunction()

# Links every module of src/ (except app's main) into an executable.
function(ottla_link_all target)
    get_property(modules GLOBAL PROPERTY OTTLA_MODULES)
    target_link_libraries(${target} PRIVATE ${modules} Threads::Threads)
endfunction()

# ottla_application(name SOURCES main.cc ... [LINK libs...]): an executable of src/app with every module in
# it, at the root of the build tree: build/release/ottla.
function(ottla_application name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src
        ${CMAKE_BINARY_DIR}/generated)
    target_link_libraries(${name} PRIVATE ottla_flags fmt::fmt ${ARG_LINK})
    ottla_link_all(${name})
    ottla_use_precompiled(${name} ottla_pch)
    add_dependencies(${name} ottla_generated)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endfunction()
