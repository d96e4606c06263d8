# Run after a test program is linked: writes a ctest file with one test for each of its suites.
execute_process(COMMAND "${PROGRAM}" --gtest_list_tests OUTPUT_VARIABLE listed RESULT_VARIABLE failed
                TIMEOUT 60)
if(failed)
  message(FATAL_ERROR "${PROGRAM} --gtest_list_tests: ${failed}")
endif()
string(REGEX MATCHALL "(^|\n)[^ \n]+\\." suites "${listed}")
set(text "")
foreach(suite IN LISTS suites)
  string(STRIP "${suite}" suite)
  string(REGEX REPLACE "\\.$" "" suite "${suite}")
  string(APPEND text "add_test([=[${PREFIX}/${suite}]=] [=[${PROGRAM}]=] \
[=[--gtest_filter=${suite}.*]=])\nset_tests_properties([=[${PREFIX}/${suite}]=] PROPERTIES \
LABELS unit TIMEOUT 600)\n")
endforeach()
file(WRITE "${LIST}" "${text}")
