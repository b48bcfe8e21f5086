# A module is one folder of src/: an OBJECT library (no archive to rewrite, fast relinks) that shares
# one precompiled header. Executables link every module they name; objects are not transitive.
add_library(ottla_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
target_precompile_headers(ottla_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)
target_include_directories(ottla_pch PUBLIC ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(ottla_pch PUBLIC ottla_flags fmt::fmt)

set_property(GLOBAL PROPERTY OTTLA_MODULES "")

# ottla_module(name SOURCES a.cc b.cc [LINK libs...]): src/<name>; include paths are src/ and include/.
function(ottla_module name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    add_library(ottla_${name} OBJECT ${ARG_SOURCES})
    target_include_directories(ottla_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src
        ${CMAKE_BINARY_DIR}/generated)
    target_link_libraries(ottla_${name} PUBLIC ottla_flags fmt::fmt ${ARG_LINK})
    target_precompile_headers(ottla_${name} REUSE_FROM ottla_pch)
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
