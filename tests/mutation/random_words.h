#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/random.h"

namespace penstock {

// True once in `n`.
inline bool OneIn(uint64_t n, CounterRandom& random) { return random.Below(n) == 0; }

template <class Values>
const auto& OneOf(const Values& values, CounterRandom& random) {
  return *(std::begin(values) + random.Below(std::size(values)));
}

// A text that somebody did not expect: empty, long, not UTF-8, with control characters, of digits,
// of words that mean something elsewhere.
std::string OddText(CounterRandom& random);
// Near where types end, and now and then anything.
uint64_t OddInteger(CounterRandom& random);
// NaN, infinities, denormals, and now and then anything.
double OddDouble(CounterRandom& random);

}  // namespace penstock
