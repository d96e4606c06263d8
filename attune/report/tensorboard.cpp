#include "attune/report/tensorboard.h"

#include <bit>
#include <chrono>
#include <cmath>
#include <string>

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "attune/report/append.h"
#include "attune/report/crc32c.h"

namespace attune::report {
namespace {

// Protocol buffers by hand: a field is a varint of (number << 3 | wire type), then its value.
// Field numbers are those of tensorflow/core/util/event.proto and framework/summary.proto.
enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void put_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7F) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void put_key(std::string& out, uint32_t field, WireType type) {
  put_varint(out, (field << 3) | type);
}

template <class Unsigned>
void put_little_endian(std::string& out, Unsigned value) {
  for (size_t i = 0; i < sizeof(Unsigned); ++i) {
    out.push_back(static_cast<char>((value >> (8 * i)) & 0xFF));
  }
}

void put_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  put_key(out, field, kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

double wall_time() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

std::string event_at(int64_t step) {
  std::string event;
  put_key(event, 1, kFixed64);  // wall_time
  put_little_endian(event, std::bit_cast<uint64_t>(wall_time()));
  put_key(event, 2, kVarint);  // step
  put_varint(event, static_cast<uint64_t>(step));
  return event;
}

std::string file_name() {
  utsname system = {};
  const std::string host = ::uname(&system) == 0 ? system.nodename : "localhost";
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  return fmt::format(
      "events.out.tfevents.{}.{}.{}.{:06}", us / 1000000, host, ::getpid(), us % 1000000);
}

}  // namespace

EventFile::EventFile(const std::filesystem::path& folder, std::optional<int64_t> resumed_after) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);  // a failure shows when the file is opened
  path_ = folder / file_name();
  descriptor_ = open_to_append(path_);
  std::string version = event_at(0);
  put_bytes(version, 3, "brain.Event:2");  // file_version
  append(version);
  if (resumed_after) {
    constexpr uint64_t kStart = 1;
    std::string session;
    put_key(session, 1, kVarint);  // SessionLog.status
    put_varint(session, kStart);
    std::string event = event_at(*resumed_after + 1);
    put_bytes(event, 7, session);  // session_log
    append(event);
  }
}

EventFile::~EventFile() {
  ::close(descriptor_);
}

void EventFile::scalar(std::string_view tag, double value, int64_t step) {
  if (!std::isfinite(value)) {
    return;
  }
  std::string point;
  put_bytes(point, 1, tag);
  put_key(point, 2, kFixed32);  // simple_value
  put_little_endian(point, std::bit_cast<uint32_t>(static_cast<float>(value)));
  std::string summary;
  put_bytes(summary, 1, point);  // Summary.value
  std::string event = event_at(step);
  put_bytes(event, 5, summary);
  append(event);
}

void EventFile::write(const StepRow& row) {
  StepRow::each(row, [&](std::string_view key, auto value) {
    scalar(fmt::format("train/{}", key), static_cast<double>(value), row.step);
  });
  for (const auto& [name, value] : row.terms) {
    scalar(fmt::format("train/{}{}", kTermsPrefix, name), value, row.step);
  }
}

void EventFile::write(const EvalRow& row) {
  constexpr std::string_view kPrefix = "eval_";
  EvalRow::each(row, [&](std::string_view key, auto value) {
    if (key.substr(0, kPrefix.size()) == kPrefix) {
      scalar(
          fmt::format("eval/{}", key.substr(kPrefix.size())), static_cast<double>(value), row.step);
    }
  });
}

void EventFile::append(std::string_view event) {
  // A TFRecord: length, its checksum, the event, its checksum.
  std::string record;
  put_little_endian(record, uint64_t{event.size()});
  put_little_endian(record, masked_crc32c(record));
  record += event;
  put_little_endian(record, masked_crc32c(event));
  append_whole(descriptor_, path_, record);
}

}  // namespace attune::report
