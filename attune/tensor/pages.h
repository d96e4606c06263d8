#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace attune::tensor {

/// A region of memory of its own: zero at first, taken page by page as it is touched, in huge pages
/// where the system gives them. Movable, not copyable.
class Pages {
 public:
  Pages() = default;
  /// @throws std::bad_alloc if the system refuses.
  explicit Pages(int64_t size);
  ~Pages();
  Pages(Pages&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    Pages gone(std::move(other));
    std::swap(data_, gone.data_);
    std::swap(size_, gone.size_);
    return *this;  // what was here goes at once
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  [[nodiscard]] std::byte* data() const {
    return data_;
  }
  [[nodiscard]] int64_t size() const {
    return size_;
  }

 private:
  std::byte* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace attune::tensor
