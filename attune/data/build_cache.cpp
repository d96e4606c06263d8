#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <fstream>
#include <future>
#include <optional>
#include <system_error>
#include <thread>

#include "attune/core/error.h"
#include "attune/core/hash.h"
#include "attune/core/stop.h"
#include "attune/data/cache_format.h"
#include "attune/data/cache_report.h"
#include "attune/data/cache_writer.h"
#include "attune/data/encoder.h"
#include "attune/data/reader.h"
#include "attune/data/row_error.h"
#include "attune/data/token_cache.h"

namespace attune::data {
namespace {

namespace fs = std::filesystem;

/// Rows on their way from the reader to the file, and what became of each.
struct Batch {
  struct Entry {
    PreferenceGroup group;
    Encoded encoded;
    std::string where;
    std::string bad;               ///< Reason of a row that cannot be used; empty: it can.
    std::exception_ptr exception;  ///< What was thrown for it.
  };
  std::vector<Entry> entries;
  std::exception_ptr broken;  ///< The file itself ended here with this error.
  bool last = false;
};

/// Reads the files one after the other, a bounded batch at a time.
class RowFeed {
 public:
  RowFeed(const DataOptions& options, std::span<const std::string> files)
      : options_(options), files_(files) {}

  Batch next() {
    constexpr size_t kMaxRows = 2048;
    constexpr size_t kMaxBytes = size_t{8} << 20;
    Batch batch;
    size_t bytes = 0;
    try {
      while (batch.entries.size() < kMaxRows && bytes < kMaxBytes) {
        if (!read_row(batch)) {
          batch.last = true;
          break;
        }
        bytes += text_bytes(batch.entries.back().group);
      }
    } catch (...) {
      batch.broken = std::current_exception();
      batch.last = true;
    }
    return batch;
  }

 private:
  /// Appends one row, usable or not; false at the end of the last file.
  bool read_row(Batch& batch) {
    for (;;) {
      if (!reader_) {
        if (file_ == files_.size()) {
          return false;
        }
        reader_ = open_reader(files_[file_++], options_);
      }
      try {
        if (auto group = reader_->next()) {
          Batch::Entry entry;
          entry.where = group->where;
          entry.group = std::move(*group);
          batch.entries.push_back(std::move(entry));
          return true;
        }
        reader_.reset();
      } catch (const RowError& e) {
        Batch::Entry entry;
        entry.where = e.where();
        entry.bad = e.reason();
        entry.exception = std::current_exception();
        batch.entries.push_back(std::move(entry));
        return true;
      }
    }
  }

  static size_t text_bytes(const PreferenceGroup& group) {
    size_t bytes = group.prompt.size();
    for (const text::Message& turn : group.messages) {
      bytes += turn.content.size();
    }
    for (const Completion& completion : group.completions) {
      bytes += completion.text.size();
      for (const text::Message& turn : completion.messages) {
        bytes += turn.content.size();
      }
    }
    return bytes;
  }

  const DataOptions& options_;
  std::span<const std::string> files_;
  size_t file_ = 0;
  std::unique_ptr<Reader> reader_;
};

void encode_entry(const Encoder& encoder, Batch::Entry& entry) {
  if (!entry.bad.empty()) {
    return;
  }
  try {
    entry.encoded = encoder.encode(entry.group);
  } catch (const RowError& e) {
    entry.bad = e.reason();
    entry.exception = std::current_exception();
  } catch (...) {
    entry.exception = std::current_exception();
  }
}

/// Encodes all entries on all cores. Entries are independent, so the result has one order only.
void encode_batch(const Encoder& encoder, Batch& batch) {
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    constexpr size_t kChunk = 32;
    for (size_t begin = next.fetch_add(kChunk); begin < batch.entries.size();
         begin = next.fetch_add(kChunk)) {
      const size_t end = std::min(begin + kChunk, batch.entries.size());
      for (size_t i = begin; i < end; ++i) {
        encode_entry(encoder, batch.entries[i]);
      }
    }
  };
  std::vector<std::jthread> helpers;
  const size_t cores = std::max(1U, std::thread::hardware_concurrency());
  const size_t useful = std::min(cores, batch.entries.size() / 64 + 1);
  for (size_t i = 1; i < useful; ++i) {
    helpers.emplace_back(work);
  }
  work();
}

/// Counts and writes a batch in the order of its rows.
void write_batch(const Batch& batch, bool skip, CacheWriter& writer, BuildReport& report) {
  for (const Batch::Entry& entry : batch.entries) {
    ++report.rows;
    if (entry.exception && (entry.bad.empty() || !skip)) {
      std::rethrow_exception(entry.exception);
    }
    const std::string& reason = entry.bad.empty() ? entry.encoded.dropped : entry.bad;
    if (!reason.empty()) {
      count_drop(report, reason, entry.where);
      continue;
    }
    const EncodedGroup& group = entry.encoded.group;
    ++report.groups;
    report.comparisons += static_cast<int64_t>(group.comparisons.size());
    report.tokens += group.num_tokens();
    report.truncated += entry.encoded.truncated ? 1 : 0;
    writer.add(group, entry.encoded.prompt_hash, entry.where);
  }
  if (batch.broken) {
    std::rethrow_exception(batch.broken);
  }
}

void check_usable(const BuildReport& report, std::span<const std::string> files) {
  if (report.groups > 0) {
    return;
  }
  std::string why;
  for (const DropCount& drop : report.dropped) {
    why += fmt::format("{} {} ({} rows, as {})",
                       why.empty() ? "" : ";",
                       drop.reason,
                       drop.rows,
                       drop.examples.front());
  }
  throw Error(fmt::format("{}: none of the {} rows can be used:{}",
                          fmt::join(files, ", "),
                          report.rows,
                          why.empty() ? " there is none" : why));
}

void hash_content(Hasher& hasher, const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  check(file.is_open(), "{}: cannot be read", path.string());
  std::string piece(kCachePiece, '\0');
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) || file.gcount() > 0) {
    hasher.add(std::string_view(piece).substr(0, static_cast<size_t>(file.gcount())));
  }
  check(!file.bad(), "{}: reading failed", path.string());
}

/// Everything that the groups depend on.
std::string cache_key(const DataOptions& options,
                      std::span<const std::string> files,
                      const text::Tokenizer& tokenizer,
                      const text::ChatTemplate* chat_template) {
  Hasher hasher;
  hasher.add(kCacheVersion).add(tokenizer.fingerprint());
  if (chat_template != nullptr) {
    const std::vector<text::Message> sample = {{"user", "a"}, {"assistant", "b"}};
    hasher.add(chat_template->name()).add(chat_template->render(sample, false));
  }
  hasher.add(options.window()).add(options.max_completion_tokens.value_or(0));
  hasher.add(options.truncation).add(options.long_completion).add(options.on_bad_row);
  hasher.add(options.format).add(int64_t{options.add_eos}).add(options.add_bos);
  for (const auto& [field, column] : options.columns) {
    hasher.add(field).add(column);
  }
  hasher.add(options.tag).add(static_cast<int64_t>(options.values.size()));
  for (const std::string& name : options.values) {
    hasher.add(name);
  }
  for (const std::string& file : files) {
    hasher.add(file);
    hash_content(hasher, file);
  }
  return hasher.hex();
}

void make_folder(const std::string& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  check(!failed && fs::is_directory(folder),
        "data.cache_dir: {}: cannot be made: {}",
        folder,
        failed ? failed.message() : "a file has that name");
}

/// An intact cache of that key, or nothing.
std::optional<TokenCache> find_cache(const fs::path& path, Watcher& watcher) {
  if (!fs::exists(path)) {
    return std::nullopt;
  }
  try {
    return TokenCache(path);
  } catch (const Error& e) {
    watcher.warn(fmt::format("{}; it is made again", e.what()));
    return std::nullopt;
  }
}

BuildReport write_cache(const DataOptions& options,
                        std::span<const std::string> files,
                        const Encoder& encoder,
                        CacheWriter& writer,
                        Watcher& watcher) {
  BuildReport report;
  RowFeed feed(options, files);
  Batch batch = feed.next();
  for (;;) {
    // The next rows are read while these are encoded.
    std::future<Batch> following;
    if (!batch.last) {
      following = std::async(std::launch::async, [&feed] { return feed.next(); });
    }
    encode_batch(encoder, batch);
    write_batch(batch, options.on_bad_row == "skip", writer, report);
    watcher.progress("tokenising", report.rows, 0);
    if (stop_requested()) {
      throw Stopped();
    }
    if (!following.valid()) {
      break;
    }
    batch = following.get();
  }
  check_usable(report, files);
  return report;
}

}  // namespace

std::pair<TokenCache, BuildReport> build_token_cache(const DataOptions& options,
                                                     std::span<const std::string> files,
                                                     const text::Tokenizer& tokenizer,
                                                     const text::ChatTemplate* chat_template,
                                                     Watcher& watcher) {
  const auto start = std::chrono::steady_clock::now();
  check(!files.empty(), "data: no file is given. Name one under data.train");
  for (const std::string& file : files) {
    static_cast<void>(open_reader(file, options));  // names a missing file before all work
  }
  const Encoder encoder(options, tokenizer, chat_template);
  make_folder(options.cache_dir);
  const std::string key = cache_key(options, files, tokenizer, chat_template);
  const fs::path path = fs::path(options.cache_dir) / (key + ".tokens");

  std::optional<TokenCache> cache = find_cache(path, watcher);
  BuildReport report;
  if (cache) {
    report = read_report(cache->report(), path);
    report.from_cache = true;
  } else {
    CacheWriter writer(path, key);
    report = write_cache(options, files, encoder, writer, watcher);
    writer.finish(report_text(report));
    cache.emplace(path);
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return {*std::move(cache), std::move(report)};
}

}  // namespace attune::data
