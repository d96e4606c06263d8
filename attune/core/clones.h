// One body of a hot loop, compiled for AVX-512, AVX2 + FMA and the baseline; the loader picks the
// best that the machine has. Not for templates: their instances are written out.
#pragma once

#define ATTUNE_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))
