#include "attune/data/token_cache.h"

#include <atomic>
#include <cstring>

#include <nlohmann/json.hpp>

#include "attune/core/error.h"
#include "attune/data/cache_file.h"
#include "attune/data/cache_format.h"
#include "attune/io/mapped_file.h"

namespace attune::data {

struct TokenCache::Impl {
  explicit Impl(const std::filesystem::path& path) : file(path) {
    const std::span<const std::byte> bytes = file.bytes();
    ensure(bytes.size() >= sizeof footer, "{}: shorter than when it was checked", path.string());
    const size_t room = bytes.size() - sizeof footer;
    std::memcpy(&footer, bytes.data() + room, sizeof footer);
    check(footer.report_size <= room && footer.names_size <= room - footer.report_size &&
              footer.index_offset <= room - footer.report_size - footer.names_size &&
              footer.num_groups ==
                  (room - footer.report_size - footer.names_size - footer.index_offset) /
                      sizeof(IndexRecord),
          "{}: the cache's index does not fit its size. Delete it",
          path.string());
    read_names(bytes.subspan(room - footer.report_size - footer.names_size, footer.names_size));
  }

  void read_names(std::span<const std::byte> text) try {
    const auto* first = reinterpret_cast<const char*>(text.data());
    const auto names = nlohmann::json::parse(first, first + text.size());
    names.at("values").get_to(values);
    names.at("tags").get_to(tags);
  } catch (const nlohmann::json::exception&) {
    throw Error(fmt::format("{}: the cache's names are damaged. Delete it", file.path().string()));
  }

  [[nodiscard]] IndexRecord record(int64_t i) const {
    ensure(i >= 0 && static_cast<uint64_t>(i) < footer.num_groups,
           "TokenCache: group {} of {}",
           i,
           footer.num_groups);
    touch(sizeof(IndexRecord));
    IndexRecord record;
    std::memcpy(&record,
                file.bytes().data() + footer.index_offset + static_cast<size_t>(i) * sizeof record,
                sizeof record);
    return record;
  }

  /// The group's block. Sizes are checked, so that a file made with ill will cannot reach outside.
  [[nodiscard]] std::span<const std::byte> block(const IndexRecord& record, int64_t i) const {
    const uint64_t K = record.num_completions;
    const uint64_t numbers = ((record.flags & kHasScores) != 0 ? K : 0) +
                             ((record.flags & kHasValues) != 0 ? K * values.size() : 0) +
                             ((record.flags & kHasLabelWeights) != 0 ? K : 0);
    const uint64_t size = (record.num_tokens + K) * sizeof(int32_t) +
                          uint64_t{record.num_comparisons} * sizeof(EncodedComparison) +
                          numbers * sizeof(float) + ((record.flags & kHasLabels) != 0 ? K : 0) +
                          record.where_size;
    check(record.num_tokens <= footer.index_offset && record.tag <= tags.size() &&
              record.offset <= footer.index_offset && size <= footer.index_offset - record.offset,
          "{}: group {} of the cache is damaged. Delete the file",
          file.path().string(),
          i);
    touch(size + kAround);
    return file.bytes().subspan(record.offset, size);
  }

  /// Notes that bytes of the file are about to be read. Their pages count as the process's memory
  /// until they are released, which is done here whenever enough have come together; who reads them
  /// at the moment finds them again.
  void touch(uint64_t size) const {
    constexpr uint64_t kMost = uint64_t{16} << 20;
    if (touched.fetch_add(size, std::memory_order_relaxed) + size > kMost) {
      touched.store(0, std::memory_order_relaxed);
      file.release();
    }
  }

  /// What the system maps along with a page that is touched.
  static constexpr uint64_t kAround = uint64_t{64} << 10;

  mutable std::atomic<uint64_t> touched = 0;
  io::MappedFile file;
  CacheFooter footer;
  std::vector<std::string> values;
  std::vector<std::string> tags;
};

namespace {

/// Takes ids and numbers off the front of a block.
class BlockReader {
 public:
  BlockReader(std::span<const std::byte> block, const std::filesystem::path& path, int64_t group)
      : rest_(block), path_(path), group_(group) {}

  template <class T>
  std::vector<T> take(uint64_t count) {
    check(count <= rest_.size() / sizeof(T),
          "{}: group {} of the cache is damaged. Delete the file",
          path_.string(),
          group_);
    std::vector<T> values(count);
    if (count > 0) {
      std::memcpy(values.data(), rest_.data(), count * sizeof(T));
    }
    rest_ = rest_.subspan(count * sizeof(T));
    return values;
  }

 private:
  std::span<const std::byte> rest_;
  const std::filesystem::path& path_;
  int64_t group_;
};

}  // namespace

TokenCache::TokenCache(const std::filesystem::path& path) {
  check_cache(path);
  impl_ = std::make_shared<const Impl>(path);
}

int64_t TokenCache::size() const {
  return static_cast<int64_t>(impl_->footer.num_groups);
}

EncodedGroup TokenCache::group(int64_t i) const {
  const IndexRecord record = impl_->record(i);
  BlockReader block(impl_->block(record, i), impl_->file.path(), i);
  EncodedGroup group;
  group.prompt = block.take<int32_t>(record.prompt_size);
  const std::vector<uint32_t> lengths = block.take<uint32_t>(record.num_completions);
  for (const uint32_t length : lengths) {
    group.completions.push_back(block.take<int32_t>(length));
  }
  group.comparisons = block.take<EncodedComparison>(record.num_comparisons);
  const uint64_t K = record.num_completions;
  if ((record.flags & kHasScores) != 0) {
    group.scores = block.take<float>(K);
  }
  if ((record.flags & kHasValues) != 0) {
    for (const std::string& name : impl_->values) {
      group.values[name] = block.take<float>(K);
    }
  }
  if ((record.flags & kHasLabelWeights) != 0) {
    group.label_weights = block.take<float>(K);
  }
  if ((record.flags & kHasLabels) != 0) {
    group.labels = block.take<int8_t>(K);
  }
  group.tag = record.tag == 0 ? "" : impl_->tags[record.tag - 1];
  group.key = record.key;
  return group;
}

int64_t TokenCache::num_tokens(int64_t i) const {
  return static_cast<int64_t>(impl_->record(i).num_tokens);
}

int32_t TokenCache::num_completions(int64_t i) const {
  return static_cast<int32_t>(impl_->record(i).num_completions);
}

int32_t TokenCache::num_comparisons(int64_t i) const {
  return static_cast<int32_t>(impl_->record(i).num_comparisons);
}

GroupItems TokenCache::items(int64_t i) const {
  const uint32_t flags = impl_->record(i).flags;
  return {.compared = (flags & kCompared) != 0,
          .desirable = (flags & kDesirable) != 0,
          .undesirable = (flags & kUndesirable) != 0,
          .ranked = (flags & kRanked) != 0,
          .scored = (flags & kScored) != 0};
}

int32_t TokenCache::tag(int64_t i) const {
  const uint32_t number = impl_->record(i).tag;
  check(number <= impl_->tags.size(),
        "{}: group {} of the cache is damaged. Delete the file",
        path().string(),
        i);
  return static_cast<int32_t>(number) - 1;
}

const std::vector<std::string>& TokenCache::tags() const {
  return impl_->tags;
}

std::string_view TokenCache::where(int64_t i) const {
  const IndexRecord record = impl_->record(i);
  const std::span<const std::byte> text = impl_->block(record, i).last(record.where_size);
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

uint64_t TokenCache::prompt_hash(int64_t i) const {
  return impl_->record(i).prompt_hash;
}

uint64_t TokenCache::content_key(int64_t i) const {
  return impl_->record(i).key;
}

int64_t TokenCache::total_tokens() const {
  return static_cast<int64_t>(impl_->footer.total_tokens);
}

int64_t TokenCache::total_comparisons() const {
  return static_cast<int64_t>(impl_->footer.total_comparisons);
}

std::string TokenCache::key() const {
  return {impl_->footer.key.begin(), impl_->footer.key.end()};
}

std::string_view TokenCache::report() const {
  const auto all = impl_->file.bytes();
  const auto text = all.subspan(all.size() - sizeof(CacheFooter) - impl_->footer.report_size,
                                impl_->footer.report_size);
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

const std::filesystem::path& TokenCache::path() const {
  return impl_->file.path();
}

}  // namespace attune::data
