#include "attune/io/safetensors_writer.h"

#include <algorithm>
#include <array>
#include <vector>

#include <nlohmann/json.hpp>

#include "attune/core/error.h"
#include "attune/core/file.h"
#include "attune/io/safetensors_header.h"

namespace attune::io {
namespace {

// The rank of a type in the `safetensors` package: wide types first, so that all are aligned.
int layout_rank(DType dtype) {
  constexpr std::array kOrder{DType::kI64,
                              DType::kF64,
                              DType::kF32,
                              DType::kI32,
                              DType::kBF16,
                              DType::kF16,
                              DType::kI16,
                              DType::kI8,
                              DType::kU8,
                              DType::kBool};
  const auto found = std::find(kOrder.begin(), kOrder.end(), dtype);
  return static_cast<int>(found - kOrder.begin());
}

std::string json_text(const std::string& text, const std::filesystem::path& path) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw Error(fmt::format(
        "{}: expected names and metadata in UTF-8, got \"{}\"",
        path.string(),
        nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)));
  }
}

void check_tensor(const TensorView& tensor, const std::filesystem::path& path) {
  check(!tensor.name.empty() && tensor.name != "__metadata__",
        "{}: expected a tensor's name, got \"{}\"",
        path.string(),
        tensor.name);
  check(!is_quantised(tensor.dtype),
        "{}: tensor \"{}\": safetensors cannot hold {}. Convert it to F32 or BF16 first",
        path.string(),
        tensor.name,
        name(tensor.dtype));
  ensure(size_bytes(tensor.dtype, tensor.numel()) == static_cast<int64_t>(tensor.bytes.size()),
         "write_safetensors: tensor {}: {} {} does not take {} bytes",
         tensor.name,
         name(tensor.dtype),
         shape_text(tensor.shape),
         tensor.bytes.size());
}

std::string header_text(const std::vector<const TensorView*>& tensors,
                        const std::map<std::string, std::string>& metadata,
                        const std::filesystem::path& path) {
  std::vector<std::string> parts;
  if (!metadata.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, text] : metadata) {
      pairs.push_back(fmt::format("{}:{}", json_text(key, path), json_text(text, path)));
    }
    parts.push_back(fmt::format("\"__metadata__\":{{{}}}", fmt::join(pairs, ",")));
  }
  size_t offset = 0;
  for (const TensorView* const tensor : tensors) {
    parts.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                json_text(tensor->name, path),
                                name(tensor->dtype),
                                fmt::join(tensor->shape, ","),
                                offset,
                                offset + tensor->bytes.size()));
    offset += tensor->bytes.size();
  }
  std::string header = fmt::format("{{{}}}", fmt::join(parts, ","));
  header.append((8 - header.size() % 8) % 8, ' ');
  return header;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path,
                       std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorView*> ordered;
  ordered.reserve(tensors.size());
  for (const TensorView& tensor : tensors) {
    check_tensor(tensor, path);
    ordered.push_back(&tensor);
  }
  std::sort(ordered.begin(), ordered.end(), [](const TensorView* a, const TensorView* b) {
    return std::pair(layout_rank(a->dtype), std::string_view(a->name)) <
           std::pair(layout_rank(b->dtype), std::string_view(b->name));
  });
  std::vector<std::string_view> names;
  for (const TensorView* const tensor : ordered) {
    names.push_back(tensor->name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  check(twice == names.end(),
        "{}: two tensors have the name \"{}\"",
        path.string(),
        twice == names.end() ? "" : *twice);

  const std::string header = header_text(ordered, metadata, path);
  check(header.size() <= kMaxSafetensorsHeader,
        "{}: expected a header of at most {} bytes, got {}. Shorten the metadata",
        path.string(),
        kMaxSafetensorsHeader,
        header.size());
  AtomicFile file(path);
  const uint64_t length = header.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const TensorView* const tensor : ordered) {
    file.write(tensor->bytes);
  }
  file.commit();
}

}  // namespace attune::io
