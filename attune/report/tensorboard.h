// Scalars for TensorBoard: an events file, written without TensorBoard or protobuf.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "attune/report/rows.h"

namespace attune::report {

/// One events file of a log folder. TensorBoard shows all files of a folder as one run.
class EventFile {
 public:
  /// Makes `folder` and a new events.out.tfevents.* file in it.
  /// @param resumed_after  step of the checkpoint of a resumed run: TensorBoard then drops what
  ///                       older files of the folder say of later steps.
  /// @throws Error with the system's reason.
  explicit EventFile(const std::filesystem::path& folder,
                     std::optional<int64_t> resumed_after = std::nullopt);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  /// One point of the curve `tag`; a value that is not finite is left out.
  /// @throws Error with the system's reason.
  void scalar(std::string_view tag, double value, int64_t step);
  /// All measured figures, tagged as the transformers Trainer tags them: train/loss,
  /// train/rewards/chosen, eval/loss, eval/rewards/chosen.
  void write(const StepRow& row);
  void write(const EvalRow& row);

  /// Where the events go.
  const std::filesystem::path& path() const {
    return path_;
  }

 private:
  void append(std::string_view event);

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace attune::report
