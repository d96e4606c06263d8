# attune_library(objective TENSOR DEPS core config tensor [LIBS fmt::fmt] [PCH])
#
# A folder of attune/ is a target, a namespace and a folder of tests/. Sources are globbed, so a new
# file touches no build file. The tests of a room are one program, <room>_test.
include(GoogleTest)

function(attune_library name zone)
  cmake_parse_arguments(arg "PCH" "" "DEPS;LIBS" ${ARGN})
  if(zone STREQUAL "TENSOR" AND NOT ATTUNE_TENSOR)
    return()
  endif()
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/attune/${name}/*.cpp")
  if(sources)
    add_library(attune_${name} STATIC ${sources})
    set(scope PUBLIC)
    set_target_properties(attune_${name} PROPERTIES UNITY_BUILD "${ATTUNE_UNITY}"
                                                    UNITY_BUILD_BATCH_SIZE 16)
  else()
    add_library(attune_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(attune::${name} ALIAS attune_${name})
  target_link_libraries(attune_${name} ${scope} attune_flags fmt::fmt ${arg_LIBS})
  foreach(dep IN LISTS arg_DEPS)
    target_link_libraries(attune_${name} ${scope} attune_${dep})
  endforeach()
  if(zone STREQUAL "TENSOR")
    target_link_libraries(attune_${name} ${scope} attune_torch)
    if(sources AND arg_PCH)
      attune_tensor_pch(attune_${name})
    endif()
  endif()

  file(GLOB tests CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${name}/*_test.cpp")
  if(tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE attune_${name} GTest::gmock GTest::gtest_main
                                               nlohmann_json::nlohmann_json)
    target_compile_definitions(${name}_test PRIVATE "ATTUNE_SOURCE_DIR=\"${CMAKE_SOURCE_DIR}\"")
    target_compile_options(${name}_test PRIVATE -Wno-conversion)
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}/" DISCOVERY_TIMEOUT 60
                         PROPERTIES LABELS "unit" TIMEOUT 300)
  endif()
endfunction()
