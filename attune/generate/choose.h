#pragma once

#include <cstdint>
#include <span>

#include "attune/core/random.h"
#include "attune/generate/options.h"

namespace attune::generate {

/// One token id drawn from softmax(logits / temperature), among the top_k likeliest and, of those,
/// among the likeliest that hold top_p of the probability (the one that crosses it included, as in
/// transformers). Temperature 0 takes the likeliest; of equals the lowest id. Not-a-number logits
/// are never drawn.
int32_t choose(std::span<const float> logits, const GenerateOptions& options, RandomStream& random);

}  // namespace attune::generate
