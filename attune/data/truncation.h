// What gives way when a group does not fit the window.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "attune/data/encoded_group.h"
#include "attune/data/options.h"

namespace attune::data {

/// What truncation did.
struct Truncation {
  bool cut = false;     ///< Tokens were lost.
  std::string dropped;  ///< Why the group cannot be used; empty: it can.
};

/// Brings a group into the window of options.max_tokens for prompt and longest completion.
///
/// First a completion longer than max_completion_tokens (or than the window leaves beside one
/// prompt token) is cut at its end, or drops the group, as options.long_completion says; a
/// completion that was cut has no end token, for it did not end there. Then options.truncation:
///   prompt_left       the prompt loses its beginning, but for a begin token, which it keeps
///   prompt_right      the prompt loses its end
///   completion_right  the completions lose their end; a prompt that fills the window drops the
///                     group
///   drop              the group is dropped
///
/// @param bos  The begin token, if the vocabulary has one.
Truncation truncate(EncodedGroup& group, const DataOptions& options, std::optional<int32_t> bos);

}  // namespace attune::data
