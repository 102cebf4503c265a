#include "router_service/quality/answer_confidence.h"

#include <cmath>

#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(ReadConfidences, TakesTheTwoLargestOfEachRow) {
  const auto rows = ReadConfidences(FloatTensor("p", {2, 3}, {0.2f, 0.7f, 0.1f, 0.5f, 0.1f, 0.4f}));
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_FLOAT_EQ((*rows)[0].first, 0.7f);
  EXPECT_FLOAT_EQ((*rows)[0].second, 0.2f);
  EXPECT_FLOAT_EQ((*rows)[1].first, 0.5f);
  EXPECT_FLOAT_EQ((*rows)[1].second, 0.4f);
}

TEST(ReadConfidences, PutsLogitsThroughSoftmax) {
  const auto rows = ReadConfidences(
      FloatTensor("h", {1, 3}, {std::log(2.0f) - 9, std::log(5.0f) - 9, std::log(3.0f) - 9}));
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_NEAR((*rows)[0].first, 0.5, 1e-6);
  EXPECT_NEAR((*rows)[0].second, 0.3, 1e-6);
}

TEST(ReadConfidences, ReadsAYesNoQuestion) {
  const auto rows = ReadConfidences(FloatTensor("p", {1, 1}, {0.2f}));
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_FLOAT_EQ((*rows)[0].first, 0.8f);
  EXPECT_FLOAT_EQ((*rows)[0].second, 0.2f);
}

TEST(ReadConfidences, RefusesWhatIsNoProbability) {
  EXPECT_FALSE(ReadConfidences(StringTensor("s", {1, 1}, {"x"})).ok());
  EXPECT_FALSE(ReadConfidences(FloatTensor("p", {0, 3}, {})).ok());
}

TEST(ReadConfidences, TellsNoNumbersFromNoProbabilities) {
  EXPECT_EQ(ReadConfidences(FloatTensor("p", {1, 2}, {std::nanf(""), 1})).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ReadConfidences(FloatTensor("p", {0, 3}, {})).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ConfidenceFeatures, OfNoNumberAreThoseOfNoConfidence) {
  EXPECT_EQ(ConfidenceFeatures({std::nanf(""), std::nanf("")}), ConfidenceFeatures({0, 0}));
}

TEST(ConfidenceFeatures, IsFiniteForCertainty) {
  const auto f = ConfidenceFeatures({1, 0});
  EXPECT_NEAR(f[0], std::log(99999.0), 1e-6);
  EXPECT_NEAR(f[1], std::log(99999.0), 1e-3);
}

}  // namespace
}  // namespace penstock::router
