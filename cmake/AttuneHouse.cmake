# Tests of the house itself: rooms, documents, the demo's pairs. Each is a Python program.
find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter)

function(attune_house_test name)
  add_test(NAME "${name}" COMMAND "${Python3_EXECUTABLE}" ${ARGN}
           WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  set_tests_properties("${name}" PROPERTIES LABELS "house" TIMEOUT 120)
endfunction()

attune_house_test(house/layers scripts/check_layers)
attune_house_test(house/layers_test tests/house/layers_test.py)
attune_house_test(house/docs scripts/check_docs "--programs=$<TARGET_FILE_DIR:attune>")
attune_house_test(house/docs_test tests/house/docs_test.py)
attune_house_test(examples/demo examples/demo/check.py)
