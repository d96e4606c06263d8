# Warnings, ccache, linker and sanitizers: what every target of attune is compiled with.
find_program(ATTUNE_CCACHE ccache)
if(ATTUNE_CCACHE)
  # Paths are hashed relative to the source folder, so that another clone finds the same objects.
  # The sloppiness set is what a precompiled header needs to hit at all.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND}" -E env
      "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime"
      "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" "CCACHE_NOHASHDIR=1" "${ATTUNE_CCACHE}")
endif()
find_program(ATTUNE_MOLD mold)
if(ATTUNE_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Release: fast. Checked: optimised enough for sanitizers, with libstdc++'s assertions. Debug: neither.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_CXX_FLAGS_CHECKED "-O1 -g1")

add_library(attune_flags INTERFACE)
target_compile_options(attune_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion
                                              -Wno-sign-conversion -Werror)
target_include_directories(attune_flags INTERFACE "${CMAKE_SOURCE_DIR}")
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_definitions(attune_flags INTERFACE _GLIBCXX_ASSERTIONS)
endif()

if(ATTUNE_SANITIZE)
  set(sanitizers "${ATTUNE_SANITIZE}")
  if(sanitizers STREQUAL "ON")
    set(sanitizers "address,undefined")
  endif()
  add_compile_options("-fsanitize=${sanitizers}" -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options("-fsanitize=${sanitizers}")
endif()
