// How fast rows become a token cache, and in how much memory.
// Run: token_cache_bench TOKENIZER ROWS [FOLDER]
//   TOKENIZER  a Hugging Face folder, tokenizer.json or .gguf
//   ROWS       conversational pairs to make up, about 600 bytes each
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <sys/resource.h>

#include "attune/core/error.h"
#include "attune/core/random.h"
#include "attune/data/token_cache.h"
#include "attune/text/chat_template.h"
#include "attune/text/tokenizer.h"

namespace attune::data {
namespace {

std::string words(RandomStream& random, int count) {
  constexpr const char* kWords[] = {"the",
                                    "answer",
                                    "depends",
                                    "on",
                                    "river",
                                    "number",
                                    "seven",
                                    "quick",
                                    "people",
                                    "think",
                                    "about",
                                    "green",
                                    "house",
                                    "never",
                                    "because",
                                    "light"};
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += (i == 0 ? "" : " ");
    text += kWords[random.below(16)];
  }
  return text;
}

void write_rows(const std::string& path, int64_t count) {
  std::ofstream file(path);
  RandomStream random(7);
  for (int64_t i = 0; i < count; ++i) {
    file << fmt::format(R"({{"prompt": [{{"role": "user", "content": "{} {}?"}}], )"
                        R"("chosen": [{{"role": "assistant", "content": "{}."}}], )"
                        R"("rejected": [{{"role": "assistant", "content": "{}!"}}]}})"
                        "\n",
                        words(random, 25),
                        i,
                        words(random, 30),
                        words(random, 30));
  }
}

double peak_mib() {
  struct ::rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

void run(const std::string& tokenizer_path, int64_t rows, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "rows.jsonl").string();
  write_rows(path, rows);
  const double megabytes = static_cast<double>(std::filesystem::file_size(path)) / 1e6;
  const auto tokenizer = text::Tokenizer::load(tokenizer_path);
  const auto chat_template = text::ChatTemplate::named("chatml", *tokenizer);
  DataOptions options;
  options.cache_dir = (folder / "cache").string();
  Watcher watcher;
  const std::vector<std::string> files{path};
  fmt::print("before            {:8.1f} MiB peak\n", peak_mib());
  for (const char* start : {"first start", "second start"}) {
    const auto [cache, report] =
        build_token_cache(options, files, *tokenizer, &chat_template, watcher);
    fmt::print("{:<17} {:8.1f} MiB peak, {:.2f} s: {} rows/s, {:.1f} MB/s, {} tokens\n",
               start,
               peak_mib(),
               report.seconds,
               static_cast<int64_t>(static_cast<double>(report.rows) / report.seconds),
               megabytes / report.seconds,
               report.tokens);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace attune::data

int main(int argc, char** argv) try {
  attune::check(argc >= 3, "token_cache_bench TOKENIZER ROWS [FOLDER]");
  attune::data::run(argv[1], std::atoll(argv[2]), argc > 3 ? argv[3] : "token_cache_bench.tmp");
  return 0;
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 2;
}
