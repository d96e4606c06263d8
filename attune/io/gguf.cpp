#include "attune/io/gguf.h"

#include <algorithm>
#include <utility>

#include "attune/core/error.h"
#include "attune/core/hint.h"

namespace attune::io {

std::string_view GgufValue::type_name() const {
  constexpr std::string_view kNames[] = {"integer",
                                         "integer beyond 2^63",
                                         "float",
                                         "bool",
                                         "string",
                                         "array of integers",
                                         "array of integers beyond 2^63",
                                         "array of floats",
                                         "array of bools",
                                         "array of strings",
                                         "array of arrays"};
  static_assert(std::size(kNames) == std::variant_size_v<decltype(value)>);
  return kNames[value.index()];
}

GgufFile::GgufFile(int version,
                   std::map<std::string, GgufValue, std::less<>> values,
                   TensorFile tensors)
    : version_(version), values_(std::move(values)), tensors_(std::move(tensors)) {}

bool GgufFile::has(std::string_view key) const {
  return values_.contains(key);
}

const GgufValue& GgufFile::value(std::string_view key) const {
  const auto found = values_.find(key);
  if (found != values_.end()) {
    return found->second;
  }
  std::vector<std::string_view> known;
  known.reserve(values_.size());
  for (const auto& [name, unused] : values_) {
    known.push_back(name);
  }
  throw Error(fmt::format("{}: no metadata key \"{}\" among its {}.{}",
                          path().string(),
                          key,
                          values_.size(),
                          did_you_mean(key, known)));
}

void GgufFile::refuse(std::string_view key, std::string_view expected) const {
  throw Error(fmt::format("{}: metadata key \"{}\": expected {}, got {}",
                          path().string(),
                          key,
                          expected,
                          value(key).type_name()));
}

template <class T>
const T& GgufFile::get(std::string_view key, std::string_view expected) const {
  if (const T* const found = std::get_if<T>(&value(key).value)) {
    return *found;
  }
  refuse(key, expected);
}

template <class T>
const std::vector<T>& GgufFile::get_array(std::string_view key, std::string_view expected) const {
  const auto is_empty_array = [](const auto& held) {
    if constexpr (requires {
                    held.empty();
                    typename std::decay_t<decltype(held)>::allocator_type;
                  }) {
      return !std::is_same_v<std::decay_t<decltype(held)>, std::string> && held.empty();
    } else {
      return false;
    }
  };
  if (std::visit(is_empty_array, value(key).value)) {
    static const std::vector<T> kEmpty;
    return kEmpty;
  }
  return get<std::vector<T>>(key, expected);
}

const std::string& GgufFile::get_string(std::string_view key) const {
  return get<std::string>(key, "string");
}

int64_t GgufFile::get_int(std::string_view key) const {
  return get<int64_t>(key, "integer");
}

double GgufFile::get_float(std::string_view key) const {
  if (const auto* const whole = std::get_if<int64_t>(&value(key).value)) {
    return static_cast<double>(*whole);
  }
  return get<double>(key, "float");
}

bool GgufFile::get_bool(std::string_view key) const {
  return get<bool>(key, "bool");
}

const std::vector<std::string>& GgufFile::get_strings(std::string_view key) const {
  return get_array<std::string>(key, "array of strings");
}

const std::vector<int64_t>& GgufFile::get_ints(std::string_view key) const {
  return get_array<int64_t>(key, "array of integers");
}

const std::vector<double>& GgufFile::get_floats(std::string_view key) const {
  return get_array<double>(key, "array of floats");
}

}  // namespace attune::io
