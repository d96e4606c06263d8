# LibTorch from the `torch` wheel, by own IMPORTED targets: its headers come last (-idirafter),
# because the wheel carries fmt and protobuf headers that would shadow the distribution's.
if(NOT ATTUNE_TORCH_DIR)
  set(ATTUNE_PYTHON "${CMAKE_SOURCE_DIR}/.venv/bin/python" CACHE FILEPATH "Python that has torch")
  execute_process(
    COMMAND "${ATTUNE_PYTHON}" -c
            "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin))"
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "no torch in ${ATTUNE_PYTHON}; run scripts/setup, or give "
                        "-DATTUNE_TORCH_DIR=<the folder that import torch comes from>")
  endif()
  set(ATTUNE_TORCH_DIR "${found}" CACHE PATH "folder of the torch wheel" FORCE)
endif()

foreach(lib torch_cpu c10)
  add_library(wheel_${lib} SHARED IMPORTED)
  set_target_properties(wheel_${lib} PROPERTIES IMPORTED_LOCATION
                                                "${ATTUNE_TORCH_DIR}/lib/lib${lib}.so")
endforeach()
add_library(attune_torch INTERFACE)
target_link_libraries(attune_torch INTERFACE wheel_torch_cpu wheel_c10 Threads::Threads)
target_compile_definitions(attune_torch INTERFACE AT_PER_OPERATOR_HEADERS)
target_compile_options(
  attune_torch INTERFACE -fopenmp "SHELL:-idirafter ${ATTUNE_TORCH_DIR}/include"
                         "SHELL:-idirafter ${ATTUNE_TORCH_DIR}/include/torch/csrc/api/include")
target_link_options(attune_torch INTERFACE -fopenmp "LINKER:-rpath,${ATTUNE_TORCH_DIR}/lib")

# A CUDA wheel registers its kernels when its libraries are loaded, so they are linked though no
# symbol of theirs is named.
if(ATTUNE_CUDA)
  foreach(lib torch_cuda c10_cuda)
    if(NOT EXISTS "${ATTUNE_TORCH_DIR}/lib/lib${lib}.so")
      message(FATAL_ERROR "ATTUNE_CUDA: no lib${lib}.so in ${ATTUNE_TORCH_DIR}/lib; this torch was "
                          "built without CUDA. Name a Python with a CUDA wheel by ATTUNE_PYTHON")
    endif()
    target_link_options(
      attune_torch INTERFACE
      "LINKER:--no-as-needed,${ATTUNE_TORCH_DIR}/lib/lib${lib}.so,--as-needed")
  endforeach()
endif()

# One precompiled header for the rooms that write autograd functions.
function(attune_tensor_pch target)
  if(TARGET attune_nn AND NOT target STREQUAL "attune_nn")
    target_precompile_headers(${target} REUSE_FROM attune_nn)
  else()
    target_precompile_headers(${target} PRIVATE <torch/csrc/autograd/custom_function.h>
                              <ATen/TensorOperators.h> <ATen/Parallel.h>)
  endif()
  target_compile_options(${target} PRIVATE -fpch-preprocess)
endfunction()
