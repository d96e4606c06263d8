#include "attune/report/tensorboard.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/core/file.h"
#include "attune/report/crc32c.h"

namespace attune::report {
namespace {

/// A protocol buffer's fields by number; a reader of its own, so that the writer has a witness.
std::map<uint64_t, std::string> fields_of(std::string_view bytes) {
  std::map<uint64_t, std::string> fields;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<uint8_t>(bytes.at(0));
      bytes.remove_prefix(1);
      value += static_cast<uint64_t>(byte % 128) << shift;
      if (byte < 128) {
        return value;
      }
    }
  };
  while (!bytes.empty()) {
    const uint64_t key = varint();
    if (key % 8 == 0) {
      fields[key / 8] = std::to_string(varint());
      continue;
    }
    const uint64_t size = key % 8 == 1 ? 8 : key % 8 == 5 ? 4 : varint();
    fields[key / 8] = std::string(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  return fields;
}

std::vector<std::string> records_of(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  std::vector<std::string> records;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t size = 0;
    uint32_t size_crc = 0;
    uint32_t data_crc = 0;
    std::memcpy(&size, &bytes.at(at), 8);
    std::memcpy(&size_crc, &bytes.at(at + 8), 4);
    records.push_back(bytes.substr(at + 12, size));
    std::memcpy(&data_crc, &bytes.at(at + 12 + size), 4);
    EXPECT_EQ(size_crc, masked_crc32c(bytes.substr(at, 8)));
    EXPECT_EQ(data_crc, masked_crc32c(records.back()));
    at += 16 + size;
  }
  return records;
}

struct Point {
  std::string tag;
  std::string step;
  float value = 0;
};

std::vector<Point> points_of(const std::filesystem::path& path) {
  std::vector<Point> points;
  for (const std::string& record : records_of(path)) {
    auto event = fields_of(record);
    if (event.count(5) != 0) {
      auto value = fields_of(fields_of(event[5])[1]);
      points.push_back({value[1], event[2], 0});
      std::memcpy(&points.back().value, value[2].data(), 4);
    }
  }
  return points;
}

std::filesystem::path fresh_logs(const std::string& name) {
  const auto path = std::filesystem::path(testing::TempDir()) / ("report_events_" + name);
  std::filesystem::remove_all(path);
  return path;
}

TEST(Crc32c, TheVectorsOfRfc3720) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43U);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(Crc32c, TheMaskRotatesAndAdds) {
  // 0xE3069283 rotated right by 15 is 0x2507C60D; plus 0xA282EAD8 is 0xC78AB0E5.
  EXPECT_EQ(masked_crc32c("123456789"), 0xC78AB0E5U);
}

TEST(EventFile, AnIndependentReaderFindsThePoints) {
  EventFile file(fresh_logs("points"));
  file.scalar("train/loss", 0.625, 300);
  file.scalar("train/loss", std::nan(""), 301);
  file.scalar("a", -2, int64_t{1} << 40);
  const auto points = points_of(file.path());
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[0].tag, "train/loss");
  EXPECT_EQ(points[0].step, "300");
  EXPECT_EQ(points[0].value, 0.625F);
  EXPECT_EQ(points[1].step, "1099511627776");
  EXPECT_EQ(points[1].value, -2.0F);
  EXPECT_EQ(fields_of(records_of(file.path()).at(0)).at(3), "brain.Event:2");
}

TEST(EventFile, RowsAreTaggedAsTheTransformersTrainerTagsThem) {
  EventFile file(fresh_logs("rows"));
  file.write(StepRow{.step = 5, .loss = 0.5, .chosen_reward = 0.25, .tokens = 7, .comparisons = 3});
  file.write(EvalRow{.step = 5, .loss = 0.75, .rejected_reward = -0.5, .comparisons = 11});
  std::vector<std::string> tags;
  for (const Point& point : points_of(file.path())) {
    tags.push_back(point.tag);
  }
  EXPECT_THAT(tags,
              testing::ElementsAre("train/loss",
                                   "train/rewards/chosen",
                                   "train/tokens",
                                   "train/comparisons",
                                   "eval/loss",
                                   "eval/rewards/rejected",
                                   "eval/comparisons"));
}

TEST(EventFile, AResumedRunSaysFromWhichStepOnOldPointsAreVoid) {
  EventFile file(fresh_logs("resume"), 40);
  auto event = fields_of(records_of(file.path()).at(1));
  EXPECT_EQ(event.at(2), "41");
  EXPECT_EQ(fields_of(event.at(7)).at(1), "1");  // SessionLog.START
}

}  // namespace
}  // namespace attune::report
