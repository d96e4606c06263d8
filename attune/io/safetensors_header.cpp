#include "attune/io/safetensors_header.h"

#include <array>
#include <limits>
#include <unordered_set>
#include <utility>

#include <nlohmann/json.hpp>

#include "attune/core/error.h"
#include "attune/core/hint.h"
#include "attune/io/json.h"

namespace attune::io {
namespace {

// Receives nlohmann's events. The form is so fixed that the place is one of six; whatever does not
// belong there is an error at once, so neither nesting nor length can cost anything.
class HeaderEvents {
 public:
  explicit HeaderEvents(const std::filesystem::path& where) : where_(where.string()) {}

  SafetensorsHeader take() && {
    return std::move(header_);
  }

  bool start_object(size_t) {
    if (place_ == Place::kStart) {
      place_ = Place::kRoot;
    } else if (place_ == Place::kRoot && !in_metadata_) {
      place_ = Place::kEntry;
      seen_ = {};
    } else if (place_ == Place::kRoot) {
      place_ = Place::kMetadata;
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool end_object() {
    if (place_ == Place::kEntry) {
      finish_entry();
    }
    place_ = place_ == Place::kRoot ? Place::kStart : Place::kRoot;
    return true;
  }

  bool key(std::string& text) {
    if (place_ == Place::kRoot) {
      in_metadata_ = text == "__metadata__";
      check(names_.insert(text).second, "{}: the header names \"{}\" twice", where_, text);
      if (!in_metadata_) {
        header_.entries.emplace_back().name = text;
      }
    } else if (place_ == Place::kMetadata) {
      check(!header_.metadata.contains(text),
            "{}: __metadata__ has the key \"{}\" twice",
            where_,
            text);
      metadata_key_ = text;
    } else {
      entry_key(text);
    }
    return true;
  }

  bool start_array(size_t) {
    if (place_ == Place::kEntry && (field_ == kShape || field_ == kOffsets)) {
      place_ = Place::kArray;
      num_offsets_ = 0;
    } else {
      unexpected("an array");
    }
    return true;
  }

  bool end_array() {
    check(field_ != kOffsets || num_offsets_ == 2,
          "{}: tensor \"{}\": data_offsets: expected 2 numbers, got {}",
          where_,
          entry().name,
          num_offsets_);
    place_ = Place::kEntry;
    return true;
  }

  bool number_unsigned(uint64_t value) {
    if (place_ != Place::kArray) {
      unexpected("a number");
    }
    check(std::cmp_less_equal(value, std::numeric_limits<int64_t>::max()),
          "{}: tensor \"{}\": {}: expected a whole number below 2^63, got {}",
          where_,
          entry().name,
          kFields[field_],
          value);
    if (field_ == kShape) {
      check(entry().shape.size() < kMaxDimensions,
            "{}: tensor \"{}\": shape: expected at most {} dimensions, got more",
            where_,
            entry().name,
            kMaxDimensions);
      entry().shape.push_back(static_cast<int64_t>(value));
    } else {
      (num_offsets_ == 0 ? entry().begin : entry().end) = static_cast<int64_t>(value);
      ++num_offsets_;
      check(num_offsets_ <= 2,
            "{}: tensor \"{}\": data_offsets: expected 2 numbers, got more",
            where_,
            entry().name);
    }
    return true;
  }

  bool number_integer(int64_t value) {
    if (place_ != Place::kArray) {
      unexpected("a number");
    }
    throw Error(fmt::format("{}: tensor \"{}\": {}: expected a number from 0, got {}",
                            where_,
                            entry().name,
                            kFields[field_],
                            value));
  }

  bool number_float(double, const std::string& text) {
    if (place_ != Place::kArray) {
      unexpected("a number");
    }
    throw Error(fmt::format("{}: tensor \"{}\": {}: expected a whole number below 2^63, got {}",
                            where_,
                            entry().name,
                            kFields[field_],
                            text));
  }

  bool string(std::string& text) {
    if (place_ == Place::kMetadata) {
      header_.metadata.emplace(metadata_key_, std::move(text));
    } else if (place_ == Place::kEntry && field_ == kDType) {
      const std::optional<DType> dtype = from_safetensors(text);
      check(dtype.has_value(),
            "{}: tensor \"{}\": expected dtype F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL, "
            "got \"{}\"",
            where_,
            entry().name,
            text);
      entry().dtype = *dtype;
    } else {
      unexpected("a text");
    }
    return true;
  }

  bool null() {
    unexpected("null");
  }
  bool boolean(bool) {
    unexpected("a boolean");
  }
  bool binary(nlohmann::json::binary_t&) {
    unexpected("binary data");
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& e) {
    throw Error(fmt::format(
        "{}: the header is no JSON at its byte {}; {}", where_, position, json_reason(e)));
  }

 private:
  enum class Place { kStart, kRoot, kMetadata, kEntry, kArray };
  enum Field : size_t { kDType, kShape, kOffsets };
  static constexpr std::array<std::string_view, 3> kFields{"dtype", "shape", "data_offsets"};
  static constexpr size_t kMaxDimensions = 64;

  SafetensorsEntry& entry() {
    return header_.entries.back();
  }

  void entry_key(const std::string& text) {
    for (size_t i = 0; i < kFields.size(); ++i) {
      if (kFields[i] == text) {
        check(!seen_[i], "{}: tensor \"{}\": {} is given twice", where_, entry().name, text);
        seen_[i] = true;
        field_ = static_cast<Field>(i);
        return;
      }
    }
    throw Error(
        fmt::format("{}: tensor \"{}\": expected dtype, shape and data_offsets, got \"{}\".{}",
                    where_,
                    entry().name,
                    text,
                    did_you_mean(text, kFields)));
  }

  void finish_entry() const {
    for (size_t i = 0; i < kFields.size(); ++i) {
      check(seen_[i],
            "{}: tensor \"{}\": {} is missing",
            where_,
            header_.entries.back().name,
            kFields[i]);
    }
  }

  [[noreturn]] void unexpected(std::string_view got) const {
    if (place_ == Place::kStart) {
      throw Error(fmt::format("{}: expected a JSON object as header, got {}", where_, got));
    }
    if (place_ == Place::kMetadata) {
      throw Error(
          fmt::format("{}: __metadata__.{}: expected a text, got {}", where_, metadata_key_, got));
    }
    if (place_ == Place::kRoot && in_metadata_) {
      throw Error(fmt::format("{}: __metadata__: expected an object, got {}", where_, got));
    }
    const std::string& name = header_.entries.back().name;
    if (place_ == Place::kRoot) {
      throw Error(fmt::format("{}: tensor \"{}\": expected an object, got {}", where_, name, got));
    }
    throw Error(fmt::format("{}: tensor \"{}\": {}: expected {}, got {}",
                            where_,
                            name,
                            kFields[field_],
                            place_ == Place::kArray ? "numbers"
                            : field_ == kDType      ? "a text"
                                                    : "an array of numbers",
                            got));
  }

  std::string where_;
  SafetensorsHeader header_;
  Place place_ = Place::kStart;
  bool in_metadata_ = false;
  Field field_ = kDType;
  std::array<bool, 3> seen_{};
  int num_offsets_ = 0;
  std::string metadata_key_;
  std::unordered_set<std::string> names_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text,
                                           const std::filesystem::path& where) {
  HeaderEvents events(where);
  nlohmann::json::sax_parse(text.begin(), text.end(), &events);
  return std::move(events).take();
}

}  // namespace attune::io
