#include "expert_service/quantization/bit_allocation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace penstock::expert {
namespace {

using Choices = std::vector<std::vector<StorageChoice>>;

double Error(const Choices& choices, const std::vector<size_t>& chosen) {
  double error = 0;
  for (size_t m = 0; m < choices.size(); ++m) error += choices[m][chosen[m]].error;
  return error;
}

int64_t Bytes(const Choices& choices, const std::vector<size_t>& chosen) {
  int64_t bytes = 0;
  for (size_t m = 0; m < choices.size(); ++m) bytes += choices[m][chosen[m]].bytes;
  return bytes;
}

// Looks at every combination; infinity where none fits.
double LeastError(const Choices& choices, int64_t budget) {
  std::vector<size_t> chosen(choices.size(), 0);
  double least = std::numeric_limits<double>::infinity();
  for (;;) {
    if (Bytes(choices, chosen) <= budget) least = std::min(least, Error(choices, chosen));
    size_t m = 0;
    while (m < choices.size() && ++chosen[m] == choices[m].size()) chosen[m++] = 0;
    if (m == choices.size()) return least;
  }
}

Choices RandomChoices(size_t matrices, int64_t most_bytes, std::mt19937& random) {
  Choices choices(matrices);
  for (auto& of_matrix : choices) {
    const size_t count = 1 + random() % 4;
    for (size_t c = 0; c < count; ++c) {
      of_matrix.push_back({1 + static_cast<int64_t>(random()) % most_bytes,
                           static_cast<double>(random() % 1000) / 7});
    }
  }
  return choices;
}

TEST(AllocateBitsTest, EqualsBruteForceWhereTheBudgetIsSmall) {
  std::mt19937 random(1);
  int fitted = 0;
  for (int instance = 0; instance < 400; ++instance) {
    const Choices choices = RandomChoices(1 + random() % 6, 50, random);
    const auto budget = static_cast<int64_t>(random() % 200);
    const double least = LeastError(choices, budget);
    const auto chosen = AllocateBits(choices, budget);
    ASSERT_EQ(chosen.has_value(), std::isfinite(least)) << "instance " << instance;
    if (!chosen) continue;
    ++fitted;
    EXPECT_LE(Bytes(choices, *chosen), budget);
    EXPECT_NEAR(Error(choices, *chosen), least, 1e-9) << "instance " << instance;
  }
  EXPECT_GT(fitted, 200);
}

TEST(AllocateBitsTest, IsNearBruteForceWhereStepsAreManyBytes) {
  std::mt19937 random(2);
  double ours = 0, least = 0;
  for (int instance = 0; instance < 100; ++instance) {
    const Choices choices = RandomChoices(6, 100'000'000, random);
    const int64_t budget = 300'000'000;
    const double best = LeastError(choices, budget);
    const auto chosen = AllocateBits(choices, budget);
    if (!std::isfinite(best)) continue;
    ASSERT_TRUE(chosen.has_value());
    EXPECT_LE(Bytes(choices, *chosen), budget);
    ours += Error(choices, *chosen);
    least += best;
  }
  ASSERT_GT(least, 0);
  EXPECT_LE(ours, least * 1.001);
}

TEST(AllocateBitsTest, NothingToChooseAndNoRoom) {
  EXPECT_TRUE(AllocateBits({}, 0).has_value());
  EXPECT_EQ(AllocateBits({{{5, 1}}}, 5), std::vector<size_t>{0});
  EXPECT_FALSE(AllocateBits({{{5, 1}}}, 4).has_value());
}

TEST(AllocateBitsTest, AThousandMatricesStayWithinTheBudget) {
  std::mt19937 random(3);
  const Choices choices = RandomChoices(1000, 1'000'000, random);
  int64_t least = 0;
  for (const auto& of_matrix : choices) {
    least += std::min_element(of_matrix.begin(), of_matrix.end(), [](const auto& a, const auto& b) {
               return a.bytes < b.bytes;
             })->bytes;
  }
  double before = std::numeric_limits<double>::infinity();
  for (const int64_t more : {int64_t{0}, least / 10, least / 2, least}) {
    const auto chosen = AllocateBits(choices, least + more);
    ASSERT_TRUE(chosen.has_value());
    EXPECT_LE(Bytes(choices, *chosen), least + more);
    EXPECT_LE(Error(choices, *chosen), before);
    before = Error(choices, *chosen);
  }
}

}  // namespace
}  // namespace penstock::expert
