// The prompt of a row that has none: what all sides begin with.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "attune/data/row.h"

namespace attune::data {

/// Bytes of the common beginning of all `sides` that are their prompt. It ends
///   - behind the last "\n\nAssistant:" of it, in a dialogue of the HH-RLHF kind;
///   - else before the white space of the last word break, or at an ideograph, so that no word is
///     cut and a completion keeps the space that its first token begins with.
/// Something of each side is left, and the common beginning may be empty: 0. A side is UTF-8; no
/// character is cut.
size_t implicit_prompt_bytes(std::span<const std::string_view> sides);

/// Turns of the common beginning of all `sides` that are their prompt; each keeps at least one.
size_t implicit_prompt_turns(std::span<const Text> sides);

}  // namespace attune::data
