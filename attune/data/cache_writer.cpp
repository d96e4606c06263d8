#include "attune/data/cache_writer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "attune/core/error.h"

namespace attune::data {
namespace {

std::string reason() {
  return std::error_code(errno, std::generic_category()).message();
}

uint32_t flags_of(const EncodedGroup& group) {
  const GroupItems items = items_of(group);
  return (group.labels.empty() ? 0U : kHasLabels) | (group.scores.empty() ? 0U : kHasScores) |
         (group.values.empty() ? 0U : kHasValues) | (items.compared ? kCompared : 0U) |
         (items.desirable ? kDesirable : 0U) | (items.undesirable ? kUndesirable : 0U) |
         (items.ranked ? kRanked : 0U) | (items.scored ? kScored : 0U) |
         (group.label_weights.empty() ? 0U : kHasLabelWeights);
}

/// A file beside `path` that has no name: the system removes it however the process ends.
std::FILE* open_spool(const std::filesystem::path& path) {
  std::string name = path.string() + ".indexXXXXXX";
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  check(descriptor >= 0, "{}: cannot be written: {}", path.string(), reason());
  ::unlink(name.c_str());
  std::FILE* file = ::fdopen(descriptor, "w+b");
  ensure(file != nullptr, "{}: fdopen failed", path.string());
  return file;
}

}  // namespace

CacheWriter::CacheWriter(const std::filesystem::path& path, std::string_view key)
    : file_(path), index_(open_spool(path)), path_(path.string()) {
  ensure(key.size() == footer_.key.size(), "CacheWriter: a key of {} digits", key.size());
  std::copy(key.begin(), key.end(), footer_.key.begin());
  piece_.reserve(kCachePiece);
  write(kCacheMagic.data(), kCacheMagic.size());
}

void CacheWriter::write(const void* bytes, size_t size) {
  const char* from = static_cast<const char*>(bytes);
  offset_ += size;
  while (size > 0) {
    const size_t part = std::min(size, kCachePiece - piece_.size());
    piece_.append(from, part);
    from += part;
    size -= part;
    if (piece_.size() == kCachePiece) {
      flush();
    }
  }
}

void CacheWriter::flush() {
  checksum_.add(piece_);
  file_.write(piece_);
  piece_.clear();
}

uint32_t CacheWriter::number_of(const std::string& tag, std::string_view where) {
  if (tag.empty()) {
    return 0;
  }
  const auto [at, is_new] = tags_.try_emplace(tag, static_cast<uint32_t>(tags_.size() + 1));
  if (is_new) {
    check(
        tags_.size() <= kMaxTags,
        "{}: \"{}\" is the tag after {} others. Name a column in data.tag that says a row's group",
        where,
        tag,
        kMaxTags);
    tag_names_.push_back(tag);
  }
  return at->second;
}

void CacheWriter::write_numbers(const EncodedGroup& group) {
  const size_t K = group.completions.size();
  const auto right = [K](const auto& list) { return list.empty() || list.size() == K; };
  ensure(right(group.scores) && right(group.labels) && right(group.label_weights),
         "CacheWriter: numbers for {} of them",
         K);
  write(group.scores.data(), group.scores.size() * sizeof(float));
  if (footer_.num_groups == 1) {
    for (const auto& [name, unused] : group.values) {
      values_.push_back(name);
    }
  }
  ensure(group.values.size() == values_.size(), "CacheWriter: {} values", group.values.size());
  for (const std::string& name : values_) {
    const auto numbers = group.values.find(name);
    ensure(numbers != group.values.end() && numbers->second.size() == K,
           "CacheWriter: no value {}",
           name);
    write(numbers->second.data(), K * sizeof(float));
  }
  write(group.label_weights.data(), group.label_weights.size() * sizeof(float));
  write(group.labels.data(), group.labels.size());
}

void CacheWriter::add(const EncodedGroup& group, uint64_t prompt_hash, std::string_view where) {
  IndexRecord record;
  record.offset = offset_;
  record.key = group.key;
  record.prompt_hash = prompt_hash;
  record.num_tokens = static_cast<uint64_t>(group.num_tokens());
  record.prompt_size = static_cast<uint32_t>(group.prompt.size());
  record.num_completions = static_cast<uint32_t>(group.completions.size());
  record.num_comparisons = static_cast<uint32_t>(group.comparisons.size());
  record.where_size = static_cast<uint32_t>(where.size());
  record.tag = number_of(group.tag, where);
  record.flags = flags_of(group);
  const bool written = std::fwrite(&record, sizeof record, 1, index_.get()) == 1;
  check(
      written, "{}: cannot be written: {}. Free some space or set data.cache_dir", path_, reason());
  footer_.num_groups += 1;
  footer_.total_tokens += record.num_tokens;
  footer_.total_comparisons += record.num_comparisons;

  constexpr size_t kId = sizeof(int32_t);
  write(group.prompt.data(), group.prompt.size() * kId);
  for (const std::vector<int32_t>& completion : group.completions) {
    const auto length = static_cast<uint32_t>(completion.size());
    write(&length, sizeof length);
  }
  for (const std::vector<int32_t>& completion : group.completions) {
    write(completion.data(), completion.size() * kId);
  }
  static_assert(sizeof(EncodedComparison) == 16);
  write(group.comparisons.data(), group.comparisons.size() * sizeof(EncodedComparison));
  write_numbers(group);
  write(where.data(), where.size());
  constexpr std::array<char, 8> kZeros = {};
  write(kZeros.data(), (4 - offset_ % 4) % 4);
}

void CacheWriter::write_index() {
  constexpr std::array<char, 8> kZeros = {};
  write(kZeros.data(), (8 - offset_ % 8) % 8);
  footer_.index_offset = offset_;
  std::rewind(index_.get());
  std::array<char, 1 << 16> buffer;
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), index_.get())) {
    write(buffer.data(), got);
  }
  const uint64_t want = footer_.num_groups * sizeof(IndexRecord);
  check(std::ferror(index_.get()) == 0 && offset_ - footer_.index_offset == want,
        "{}: cannot be written: the disk failed or is full",
        path_);
}

void CacheWriter::write_names() {
  const nlohmann::json names = {{"values", values_}, {"tags", tag_names_}};
  const std::string text = names.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  footer_.names_size = text.size();
  write(text.data(), text.size());
}

void CacheWriter::finish(std::string_view report) {
  write_index();
  write_names();
  footer_.report_size = report.size();
  write(report.data(), report.size());
  write(&footer_, sizeof footer_ - sizeof footer_.checksum);
  Hasher& checksum = checksum_.add(piece_);
  footer_.checksum = checksum.word();
  file_.write(piece_);
  file_.write(
      std::string_view(reinterpret_cast<const char*>(&footer_.checksum), sizeof footer_.checksum));
  file_.commit();
}

}  // namespace attune::data
