// Megabytes of text a second, on one thread.
//
//   tokenizer_bench TOKENIZER TEXT_FILE [SECONDS]
//
// TOKENIZER is a .gguf file, a tokenizer.json or a folder; TEXT_FILE may be gzip. Prints the speed
// of a first pass with a cold cache over the whole text, then of the best pass, line by line and as
// one text.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "attune/io/gzip.h"
#include "attune/text/tokenizer.h"

namespace {

double seconds_of(const auto& act) {
  const auto begin = std::chrono::steady_clock::now();
  act();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: tokenizer_bench TOKENIZER TEXT_FILE [SECONDS]\n");
    return 2;
  }
  const double limit_s = argc > 3 ? std::stod(argv[3]) : 3.0;
  const std::string text = attune::io::TextSource(argv[2]).read_all();
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size() - 1);
    lines.push_back(std::string_view(text).substr(begin, end + 1 - begin));
    begin = end + 1;
  }
  std::shared_ptr<const attune::text::Tokenizer> tokenizer;
  const double load_s = seconds_of([&] { tokenizer = attune::text::Tokenizer::load(argv[1]); });
  const double megabytes = static_cast<double>(text.size()) / 1e6;
  size_t num_ids = 0;
  const auto by_lines = [&] {
    num_ids = 0;
    for (const auto line : lines) {
      num_ids += tokenizer->encode(line).size();
    }
  };
  const double cold_s = seconds_of(by_lines);
  const auto best_of = [&](const auto& act) {
    double best = 1e9;
    for (double total = 0; total < limit_s;) {
      const double once = seconds_of(act);
      best = std::min(best, once);
      total += once;
    }
    return best;
  };
  const double warm_s = best_of(by_lines);
  const double whole_s = best_of([&] { num_ids = tokenizer->encode(text).size(); });
  const auto ids = tokenizer->encode(text);
  std::string back;
  const double decode_s = seconds_of([&] { back = tokenizer->decode(ids); });
  std::printf("load %.3f s; %.2f MB, %zu lines, %zu ids (%.2f bytes an id)\n",
              load_s,
              megabytes,
              lines.size(),
              num_ids,
              static_cast<double>(text.size()) / static_cast<double>(num_ids));
  std::printf("encode, cold %.1f MB/s; lines %.1f MB/s; whole %.1f MB/s; decode %.1f MB/s\n",
              megabytes / cold_s,
              megabytes / warm_s,
              megabytes / whole_s,
              megabytes / decode_s);
  return 0;
}
