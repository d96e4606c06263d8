#include "attune/io/tensor_file.h"

#include "attune/core/error.h"
#include "attune/core/hint.h"
#include "attune/io/mapped_file.h"

namespace attune::io {

std::optional<int64_t> checked_numel(std::span<const int64_t> shape) {
  int64_t numel = 1;
  bool overflow = false;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) {
      return std::nullopt;
    }
    // [2^40, 2^40, 0] has no element; the order of its dimensions must not matter.
    if (size == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(numel, size, &numel)) {
      overflow = true;
    }
  }
  if (overflow) {
    return std::nullopt;
  }
  return empty ? 0 : numel;
}

int64_t TensorView::numel() const {
  const std::optional<int64_t> numel = checked_numel(shape);
  ensure(numel.has_value(), "tensor {}: shape {} overflows", name, shape_text(shape));
  return *numel;
}

std::string shape_text(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

TensorFile::TensorFile(std::filesystem::path path,
                       std::vector<TensorView> tensors,
                       std::map<std::string, std::string> metadata,
                       std::vector<std::shared_ptr<const void>> storage)
    : path_(std::move(path)),
      tensors_(std::move(tensors)),
      metadata_(std::move(metadata)),
      storage_(std::move(storage)) {
  index_.reserve(tensors_.size());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    check(index_.emplace(tensors_[i].name, i).second,
          "{}: the tensor \"{}\" is there twice",
          path_.string(),
          tensors_[i].name);
  }
}

const TensorView* TensorFile::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const TensorView& TensorFile::at(std::string_view name) const {
  if (const TensorView* const tensor = find(name)) {
    return *tensor;
  }
  std::vector<std::string_view> known;
  known.reserve(tensors_.size());
  for (const TensorView& tensor : tensors_) {
    known.push_back(tensor.name);
  }
  throw Error(fmt::format("{}: no tensor \"{}\" among its {}.{}",
                          path_.string(),
                          name,
                          tensors_.size(),
                          did_you_mean(name, known)));
}

void TensorFile::release_pages() const {
  for (const auto& file : mapped_) {
    file->release();
  }
}

}  // namespace attune::io
