# attune_suite_tests(nn_test nn): one ctest test for each googletest suite of a program.
#
# Starting a program of the tensor rooms costs a quarter of a second for LibTorch, so that a process
# for each test would be most of the suite's time. The list is written when the program is linked.
function(attune_suite_tests target prefix)
  set(list "${CMAKE_CURRENT_BINARY_DIR}/${target}_suites.cmake")
  add_custom_command(
    TARGET ${target} POST_BUILD
    BYPRODUCTS "${list}"
    COMMAND "${CMAKE_COMMAND}" "-DPROGRAM=$<TARGET_FILE:${target}>" "-DPREFIX=${prefix}"
            "-DLIST=${list}" -P "${CMAKE_SOURCE_DIR}/cmake/WriteSuites.cmake"
    VERBATIM)
  set(include "${CMAKE_CURRENT_BINARY_DIR}/${target}_include.cmake")
  file(WRITE "${include}" "if(EXISTS \"${list}\")\n  include(\"${list}\")\n\
else()\n  add_test(${prefix}/NOT_BUILT ${target}_NOT_BUILT)\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${include}")
endfunction()
