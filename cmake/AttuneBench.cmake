# What measures: none of it is in the default build.
#   attune-lab         bench/science/   objectives on a toy language with a known optimum
#   tokenizer_bench    bench/text/      megabytes of text a second
#   token_cache_bench  bench/data/      rows to token cache
#   kernel_bench       bench/kernels/   GFLOP/s and GB/s of a step's kernels; where there is Google
#                                       Benchmark (Debian: libbenchmark-dev)
# The laboratory's library has tests (tests/science/), so it is built with them.
function(attune_bench name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} EXCLUDE_FROM_ALL ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LIBS})
endfunction()

attune_bench(tokenizer_bench SOURCES bench/text/tokenizer_bench.cpp LIBS attune_text)
attune_bench(token_cache_bench SOURCES bench/data/token_cache_bench.cpp LIBS attune_data)

if(ATTUNE_TENSOR)
  find_package(benchmark QUIET)
  if(benchmark_FOUND)
    attune_bench(kernel_bench SOURCES bench/kernels/kernel_bench.cpp
                              LIBS attune_nn attune_optim benchmark::benchmark)
  endif()

  file(GLOB lab_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/bench/science/*.cpp")
  list(REMOVE_ITEM lab_sources "${CMAKE_SOURCE_DIR}/bench/science/lab.cpp")
  add_library(attune_science STATIC EXCLUDE_FROM_ALL ${lab_sources})
  target_link_libraries(attune_science PUBLIC attune_config attune_objective attune_optim
                                              attune_report attune_text)
  attune_bench(attune-lab SOURCES bench/science/lab.cpp LIBS attune_science)

  file(GLOB science_tests CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/science/*_test.cpp")
  add_executable(science_test ${science_tests})
  target_link_libraries(science_test PRIVATE attune_science GTest::gmock GTest::gtest_main)
  target_compile_options(science_test PRIVATE -Wno-conversion)
  attune_suite_tests(science_test science)
endif()
