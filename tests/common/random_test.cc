#include "common/random.h"

#include <algorithm>
#include <array>

#include "gmock/gmock.h"

namespace penstock {
namespace {

TEST(CounterRandomTest, IsAFunctionOfSeedAndSequence) {
  CounterRandom a(1, 2), b(1, 2), other_seed(2, 2), other_sequence(1, 3);
  const uint64_t first = a.Bits();
  EXPECT_EQ(first, b.Bits());
  EXPECT_NE(first, other_seed.Bits());
  EXPECT_NE(first, other_sequence.Bits());
  EXPECT_NE(first, a.Bits());
}

TEST(CounterRandomTest, BelowReachesEachValueEquallyOften) {
  CounterRandom random(7, 0);
  std::array<int, 3> counts = {};
  for (int i = 0; i < 30'000; ++i) ++counts.at(random.Below(3));
  // Each count is binomial(30000, 1/3): mean 10000, standard deviation 82; five of them.
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 410);
}

TEST(CounterRandomTest, UniformStaysBelowOne) {
  CounterRandom random(7, 1);
  double least = 1, most = 0, sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double value = random.Uniform();
    least = std::min(least, value);
    most = std::max(most, value);
    sum += value;
  }
  EXPECT_GE(least, 0);
  EXPECT_LT(most, 1);
  EXPECT_NEAR(sum / 10'000, 0.5, 0.015);  // five times 0.2887 / sqrt(10000)
}

TEST(CounterRandomTest, FirstDrawsOfSequencesAreIndependent) {
  int heads = 0;
  for (uint64_t sequence = 0; sequence < 10'000; ++sequence) {
    heads += CounterRandom(1, sequence).Below(2) == 1;
  }
  EXPECT_NEAR(heads, 5'000, 250);
}

}  // namespace
}  // namespace penstock
