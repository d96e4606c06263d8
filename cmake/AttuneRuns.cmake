# Short whole runs of the program: known curves, and survival of kills, stops and full disks.
function(attune_run_test name)
  add_test(NAME "runs/${name}"
           COMMAND "${Python3_EXECUTABLE}" "${CMAKE_SOURCE_DIR}/tests/runs/${name}_test.py"
                   "--programs=$<TARGET_FILE_DIR:attune>" "--source=${CMAKE_SOURCE_DIR}")
  set_tests_properties("runs/${name}" PROPERTIES LABELS "runs" TIMEOUT 900)
endfunction()

if(ATTUNE_TENSOR)
  attune_run_test(curve)
  attune_run_test(interrupt)
  attune_run_test(plan)
  set_tests_properties(runs/plan PROPERTIES SKIP_RETURN_CODE 77)
  attune_run_test(survival)
endif()
