# The two programs. `attune` is plain and starts in milliseconds; it becomes `attune-engine` for a
# command that needs tensors. A source of attune/cli/ that is not listed here is an engine command.
set(cli_folder "${CMAKE_SOURCE_DIR}/attune/cli")
set(frame_sources command_line frame line_writer objective_help run_line terminal)
set(plain_sources catalog config data engine inspect main objectives plain_commands)

# runs/*.yaml as texts inside the program, for `attune config example`.
file(GLOB run_files CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/runs/*.yaml")
list(SORT run_files)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${run_files})
set(example_entries "")
foreach(run_file IN LISTS run_files)
  get_filename_component(run_name "${run_file}" NAME_WE)
  file(READ "${run_file}" run_text)
  string(APPEND example_entries "    Example{\"${run_name}\", R\"yaml(${run_text})yaml\"},\n")
endforeach()
set(examples_source "${CMAKE_BINARY_DIR}/generated/examples.cpp")
file(CONFIGURE OUTPUT "${examples_source}" @ONLY CONTENT
"#include \"attune/cli/examples.h\"

#include <array>

namespace attune::cli {
namespace {

constexpr std::array kExamples{
@example_entries@};

}  // namespace

std::span<const Example> examples() {
  return kExamples;
}

}  // namespace attune::cli
")

list(TRANSFORM frame_sources PREPEND "${cli_folder}/")
list(TRANSFORM frame_sources APPEND ".cpp")
list(TRANSFORM plain_sources PREPEND "${cli_folder}/")
list(TRANSFORM plain_sources APPEND ".cpp")
file(GLOB engine_sources CONFIGURE_DEPENDS "${cli_folder}/*.cpp")
list(REMOVE_ITEM engine_sources ${frame_sources} ${plain_sources})

add_library(attune_frame STATIC ${frame_sources})
target_link_libraries(attune_frame PUBLIC attune_config attune_text)

add_executable(attune ${plain_sources} "${examples_source}")
target_link_libraries(attune PRIVATE attune_frame attune_io attune_data)

if(ATTUNE_TENSOR)
  add_executable(attune-engine ${engine_sources})
  target_link_libraries(attune-engine PRIVATE attune_frame)
  foreach(room train generate)
    if(TARGET attune_${room})
      target_link_libraries(attune-engine PRIVATE attune_${room})
    endif()
  endforeach()
endif()

file(GLOB cli_tests CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/cli/*_test.cpp")
add_executable(cli_test ${cli_tests})
target_link_libraries(cli_test PRIVATE attune_frame GTest::gmock GTest::gtest_main
                                       nlohmann_json::nlohmann_json)
target_compile_options(cli_test PRIVATE -Wno-conversion)
gtest_discover_tests(cli_test TEST_PREFIX "cli/" DISCOVERY_TIMEOUT 60
                     PROPERTIES LABELS "unit" TIMEOUT 300)

# Text tests: commands, what they must print, their exit codes.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
file(GLOB text_tests CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/cli/*.txt")
# They hold whole outputs and start-up times of the program as users have it, with its engine.
if(ATTUNE_SANITIZE OR NOT ATTUNE_TENSOR)
  set(text_tests "")
endif()
foreach(text_test IN LISTS text_tests)
  get_filename_component(text_name "${text_test}" NAME_WE)
  add_test(NAME "cli/${text_name}.txt"
           COMMAND "${Python3_EXECUTABLE}" "${CMAKE_SOURCE_DIR}/tests/cli/run.py"
                   "--programs=$<TARGET_FILE_DIR:attune>" "--source=${CMAKE_SOURCE_DIR}"
                   "${text_test}")
  set_tests_properties("cli/${text_name}.txt" PROPERTIES LABELS "unit" TIMEOUT 120)
endforeach()
