// Every way in which a file or a row can be wrong, and what the user reads then.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/core/random.h"
#include "attune/data/reader.h"
#include "attune/data/row_error.h"

#include "tests/data/support.h"

namespace attune::data {
namespace {

using testing::Folder;
using ::testing::HasSubstr;
using testing::message_of;
using testing::read_all;

struct Broken {
  std::string bytes;
  std::string says;  ///< After the file's path.
};

void expect_message(const Broken& broken, const DataOptions& options = {}) {
  const Folder folder;
  const auto path = folder.write("bad", broken.bytes);
  EXPECT_EQ(message_of([&] { read_all(path, options); }, path), broken.says) << broken.bytes;
}

TEST(BrokenRow, NamesPlaceFieldAndSlip) {
  const std::string good = R"({"prompt": "Q", "chosen": "a", "rejected": "b"})";
  const std::vector<Broken> table{
      {good + "\n" + R"({"prompt": "Q", "chosen": "a", "rejectd": "b"})",
       R"(:2: field "rejected" is missing; the row has "rejectd")"},
      {R"({"prompt": "Q", "chosen": "a", "rejected": null})",
       R"(:1: field "rejected" is missing: it is null)"},
      {R"({"prompt": "Q", "chosen": "a", "rejected": "a"})",
       R"(:1: "chosen" and "rejected" are identical)"},
      {R"({"prompt": "Q", "chosen": "a", "rejected": " \n"})", R"(:1: "rejected" is empty)"},
      {R"({"prompt": "Q", "chosen": 7, "rejected": "b"})",
       R"(:1: field "chosen" must be text or a list of turns, got a number)"},
      {R"({"prompt": "Q", "chosen": "a", "rejected": [{"role": "assistant", "content": "b"}]})",
       R"(:1: some completions are text and others lists of turns)"},
      {R"({"prompt": "Q", "chosen": [{"role": "asistant", "content": "a"}], "rejected": "b"})",
       R"(:1: field "chosen" has a turn of an unknown role "asistant". Did you mean "assistant"?)"
       R"( attune knows system, user and assistant)"},
      {R"({"prompt": "Q", "chosen": [{"text": "a"}], "rejected": "b"})",
       R"(:1: field "chosen" has a turn without role and content (nor from and value); it has: text)"},
      {R"({"prompt": [], "chosen": "a", "rejected": "b"})", R"(:1: field "prompt" has no turn)"},
      {R"({"chosen": [{"role": "user", "content": "a"}], "rejected": [{"role": "user", "content": "b"}]})",
       R"(:1: the conversations have no common beginning that is the prompt)"},
      {R"({"question": "Q", "chosen_answer": "a", "labels": 1})",
       R"(:1: no preference in the row: expected chosen and rejected, completions with scores, or )"
       R"(completion and label; it has chosen_answer, labels, question. Did you mean "chosen"? )"
       R"(Other names are mapped by data.columns, as in chosen: answer_a)"},
      {R"({"prompt": "Q", "completions": ["a", "b"]})",
       R"(:1: completions without scores, ranking, or winners and losers: nothing says which is better)"},
      {R"({"prompt": "Q", "completions": ["a", "b"], "scores": [1]})",
       R"(:1: field "scores" has a wrong length: expected 2 entries, got 1)"},
      {R"({"prompt": "Q", "completions": ["a", "b"], "scores": [1, 1]})",
       R"(:1: all scores are equal: there is nothing to compare)"},
      {R"({"prompt": "Q", "completions": ["a", "b"], "ranking": [0, 0]})",
       R"(:1: field "ranking" must name every completion once, best first)"},
      {R"({"prompt": "Q", "completions": ["a", "b"], "yw_idxs": [0], "yl_idxs": [2]})",
       R"(:1: field "yl_idxs" points at no completion: expected 0 to 1, got 2)"},
      {R"({"prompt": "Q", "completions": ["a", "b"], "yw_idxs": [1], "yl_idxs": [1]})",
       R"(:1: an index pair compares a completion with itself: 1)"},
      {R"({"prompt": "Q", "completions": ["a", "b"], "yw_idxs": [0]})",
       R"(:1: field "yl_idxs" is missing)"},
      {R"({"prompt": "Q", "completions": ["a", "a"], "scores": [1, 2]})",
       R"(:1: two completions that are compared are identical: 1 and 0)"},
      {R"({"prompt": "Q", "completions": "a", "scores": [1]})",
       R"(:1: field "completions" must be a list of at least two completions, got a text)"},
      {R"({"prompt": "Q", "chosen": "a", "rejected": "b", "p": 1.5})",
       R"(:1: field "p" must be 0 to 1, got 1.5)"},
      {R"({"prompt": "Q", "chosen": "a", "rejected": "b", "weight": -1})",
       R"(:1: field "weight" must be 0 to 1000000000, got -1)"},
      {R"({"prompt": "Q", "completion": "a", "label": true, "weight": -1})",
       R"(:1: field "weight" must be 0 to 1000000000, got -1)"},
      {R"({"prompt": "Q", "completion": "a", "label": "yes"})",
       R"(:1: field "label" must be true or false (or 1 or 0), got a text)"},
      {R"({"completion": "a", "label": true})", R"(:1: field "prompt" is missing)"},
      {R"({"prompt": "Q", "label": true})", R"(:1: field "completion" is missing)"},
      {R"({"prompt": "Q", "chosen": "a", "chosen": "c", "rejected": "b"})",
       R"(:1: a field stands twice: "chosen")"},
      {R"(["Q", "a", "b"])", R"(:1: row 1 must be an object, got """)"},
      {"\n7", R"(:2: a row must be an object, got a number)"},
  };
  for (const Broken& broken : table) {
    expect_message(broken);
  }
}

TEST(BrokenRow, NamesTheByteOfBadText) {
  const std::vector<Broken> table{
      {"{\"chosen\": \"a\xFFz\"}", ":1: invalid UTF-8 at byte 14: 0xff. Save the file as UTF-8"},
      {std::string("{\"a\": \"b\0c\"}", 12),
       ":1: a NUL byte at byte 9. Is the file UTF-16, or damaged? attune reads UTF-8"},
      {"{\"a\": }",
       ":1: invalid JSON at column 7: unexpected '}'; expected '[', '{', or a literal"},
      {"{\"a\": \"b\n\"}",
       ":1: invalid JSON at column 9: invalid string: missing closing quote; last read: '\"b'"
       ". A row must stand whole on one line"},
      {"{\n\"a\": 1}",
       ":1: invalid JSON at column 2: unexpected end of input; expected string literal"
       ". A row must stand whole on one line"},
      {"{\"a\": 1e999}", ":1: invalid JSON: number overflow parsing '1e999'"},
  };
  for (const Broken& broken : table) {
    expect_message(broken);
  }
}

TEST(BrokenFile, NamesWhatItIs) {
  const std::vector<Broken> table{
      {"", ": the file is empty. attune reads a JSON object a line"},
      {" \n\t\n", ": the file holds nothing but white space"},
      {"PAR1....", ": this is Parquet; attune reads JSONL and JSON arrays in UTF-8, plain or gzip"},
      {"\xFF\xFE{",
       ": this is UTF-16 text; attune reads JSONL and JSON arrays in UTF-8, plain or gzip"},
      {"[\n{\"prompt\": \"Q\", ", ":2: row 1 is not closed; the file may be cut"},
      {"[", ":1: the array is not closed after 0 rows; the file may be cut"},
      {R"([{"prompt": "Q", "chosen": "a", "rejected": "b"})",
       ":1: the array is not closed after 1 rows; the file may be cut"},
      {R"([{"prompt": "Q", "chosen": "a", "rejected": "b"} {)",
       ":1: expected a comma or the end of the array after row 1, got \"{\""},
      {R"([{"prompt": "Q", "chosen": "a", "rejected": "b"},])",
       ":1: row 2 must be an object, got \"]\""},
      {"[]\nx", ":2: \"x\" stands behind the array"},
  };
  for (const Broken& broken : table) {
    expect_message(broken);
  }
}

TEST(BrokenFile, AMissingFileNamesItsNeighbour) {
  const Folder folder;
  folder.write("pairs.jsonl", "{}");
  EXPECT_EQ(message_of([&] { read_all(folder.at("pair.jsonl")); }, folder.at("")),
            R"(pair.jsonl: there is no such file. Did you mean "pairs.jsonl"?)");
  EXPECT_THAT(message_of([&] { read_all(folder.at("no/pairs.jsonl")); }),
              HasSubstr("there is no folder"));
  EXPECT_THAT(message_of([&] { read_all(folder.at("")); }), HasSubstr("expected a file, got a"));
}

TEST(BrokenFile, AnUnknownFieldOfTheMappingIsNamed) {
  const Folder folder;
  const auto path = folder.write("x.jsonl", "{}");
  DataOptions options;
  options.columns = {{"promt", "q"}};
  EXPECT_EQ(
      message_of([&] { read_all(path, options); }),
      R"(data.columns: no field "promt". Did you mean "prompt"? Write attune's name first: chosen: q)");
  options.columns = {{"chosen", "good"}};
  EXPECT_EQ(message_of([&] { read_all(path, options); }, path),
            ":1: no preference in the row: expected chosen and rejected, completions with scores, "
            "or completion and label; it has nothing. Other names are mapped by data.columns, as "
            "in chosen: answer_a");
}

TEST(BrokenFile, AGzipThatIsCutIsAnError) {
  // The first 20 bytes of a gzip member.
  const std::string head("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56\x2a\x28\xca\xcf", 16);
  const Folder folder;
  const auto path = folder.write("x.jsonl.gz", head);
  EXPECT_THAT(message_of([&] { read_all(path); }, path), HasSubstr("cannot be read"));
}

TEST(BrokenFile, AReaderGoesOnBehindABadRow) {
  const Folder folder;
  const std::string good = R"({"prompt": "Q", "chosen": "a", "rejected": "b"})";
  const std::string bad = R"({"prompt": "Q"})";
  const std::vector<std::string> layouts{good + "\n" + bad + "\n{\n" + good + "\n",
                                         "[" + good + "," + bad + ",{\"a\" 1}," + good + "]"};
  for (const std::string& layout : layouts) {
    const auto reader = open_reader(folder.write("x", layout), {});
    EXPECT_TRUE(reader->next().has_value());
    EXPECT_THROW(reader->next(), RowError);
    EXPECT_THROW(reader->next(), RowError);
    EXPECT_TRUE(reader->next().has_value());
    EXPECT_FALSE(reader->next().has_value());
  }
}

TEST(BrokenFile, RandomDamageGivesRowsOrErrorsAndNothingElse) {
  const std::string row = R"({"prompt": "Q é", "completions": ["a", [{"role": "user"}]], "p": 1})";
  const std::string pair = R"({"chosen": [{"role": "user", "content": "x"}], "rejected": "b"})";
  const Folder folder;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    RandomStream random(seed);
    std::string bytes = random.below(2) == 0 ? row + "\n" + pair : "[" + row + "," + pair + "]";
    for (uint64_t n = 1 + random.below(4); n > 0; --n) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    }
    bytes.resize(1 + random.below(bytes.size()));
    const auto path = folder.write("x", bytes);
    try {
      const auto reader = open_reader(path, {});
      for (bool more = true; more;) {
        try {
          more = reader->next().has_value();
        } catch (const RowError&) {
        }
      }
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace attune::data
