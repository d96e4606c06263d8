// Feeds bytes to the safetensors reader: whatever they are, it reads them or throws Error.
//
//   flags="-std=c++20 -O1 -g1 -I. -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all"
//   clang++-14 $flags fuzz/safetensors_fuzz.cpp attune/io/*.cpp attune/core/{file,hint}.cpp -lfmt
//   -lz
//   ./a.out -max_total_time=60 -rss_limit_mb=512 -timeout=5 corpus/ tests/golden/
//
// It needs the packages clang-14 and libclang-rt-14-dev; corpus/ is any folder, which it fills.
#include <cstddef>
#include <cstdint>
#include <span>

#include "attune/core/error.h"
#include "attune/io/tensor_file.h"

#include "fuzz/touch.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto file = attune::io::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz");
    attune::fuzz::touch(file);
  } catch (const attune::Error&) {
    // The only answer to bad bytes.
  }
  return 0;
}
