# Tests of the house itself: rooms, documents, the demo's pairs. Each is a Python program.
find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter)

function(attune_house_test name)
  add_test(NAME "${name}" COMMAND "${Python3_EXECUTABLE}" ${ARGN}
           WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  set_tests_properties("${name}" PROPERTIES LABELS "house" TIMEOUT 120)
endfunction()

attune_house_test(examples/demo examples/demo/check.py)
