#include "attune/tensor/pages.h"

#include <new>

#include <sys/mman.h>

namespace attune::tensor {

Pages::Pages(int64_t size) : size_(size) {
  void* const data = ::mmap(nullptr,
                            static_cast<size_t>(size),
                            PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                            -1,
                            0);
  if (data == MAP_FAILED) {
    throw std::bad_alloc();
  }
  // Fewer faults and fewer translations; a system that does not is no worse off.
  ::madvise(data, static_cast<size_t>(size), MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(data);
}

Pages::~Pages() {
  if (data_ != nullptr) {
    ::munmap(data_, static_cast<size_t>(size_));
  }
}

}  // namespace attune::tensor
