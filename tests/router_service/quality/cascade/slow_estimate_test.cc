#include "router_service/quality/cascade/slow_estimate.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// small standing: right with .9 where the verifier agrees, .1 where not; large by its own word.
absl::StatusOr<std::unique_ptr<const SlowEstimate>> Estimate(const std::string& name,
                                                             const std::string& verifier) {
  const std::string path = ProcessTempDir() + name;
  std::vector<float> weight(2 * 2 * 6, 0.0f);
  weight[5] = std::log(9.0f);  // (small, small): agreement
  weight[6 + 3] = 1;           // (small, large): the verifier's logit
  EXPECT_TRUE(WriteSafetensors(path,
                               {{"slow_weight", {2, 2, 6}, weight}, {"slow_knows", {2}, {1, 0}}},
                               {{"verifier", verifier}})
                  .ok());
  return SlowEstimate::Read(**Safetensors::Open(path), "f", {1, 0}, 2, {"large", "small"});
}

TEST(SlowEstimate, PredictsFromBothAnswers) {
  const auto slow = Estimate("slow1.safetensors", "large");
  ASSERT_TRUE(slow.ok()) << slow.status();
  EXPECT_EQ((*slow)->verifier(), 0u);
  EXPECT_TRUE((*slow)->Knows(1));
  EXPECT_FALSE((*slow)->Knows(0));
  std::vector<float> quality(2);
  const std::vector<Verification> agreed = {{{0.6f, 0.4f}, {0.7f, 0.3f}, 1}};
  (*slow)->Predict(1, agreed, absl::MakeSpan(quality));
  EXPECT_NEAR(quality[1], 0.9, 1e-6);
  EXPECT_NEAR(quality[0], 0.7, 1e-6);
  const std::vector<Verification> half = {{{0.6f, 0.4f}, {0.7f, 0.3f}, 1},
                                          {{0.6f, 0.4f}, {0.5f, 0.3f}, -1}};
  (*slow)->Predict(1, half, absl::MakeSpan(quality));
  EXPECT_NEAR(quality[1], 0.5, 1e-6);
  EXPECT_NEAR(quality[0], 0.6, 1e-6);
}

TEST(SlowEstimate, WantsAVerifierOfThePool) {
  EXPECT_THAT(std::string(Estimate("slow2.safetensors", "huge").status().message()),
              HasSubstr("\"verifier\" is huge, wanted an expert of the pool"));
}

TEST(AgreementOfRows, ComparesTheLargestEntryOfEachRow) {
  const Tensor a = FloatTensor("p", {3, 2}, {0.9f, 0.1f, 0.2f, 0.8f, 0.6f, 0.4f});
  const Tensor b = FloatTensor("p", {3, 2}, {0.6f, 0.4f, 0.7f, 0.3f, 0.9f, 0.1f});
  EXPECT_THAT(AgreementOfRows(a, b), ElementsAre(1, -1, 1));
}

TEST(AgreementOfRows, ReadsASingleEntryAsYesOrNo) {
  const Tensor a = FloatTensor("p", {2, 1}, {0.9f, -3});
  const Tensor b = FloatTensor("p", {2, 1}, {0.6f, 2});
  EXPECT_THAT(AgreementOfRows(a, b), ElementsAre(1, -1));
}

TEST(AgreementOfRows, SaysNothingOfAnswersOfDifferentShapes) {
  EXPECT_TRUE(AgreementOfRows(FloatTensor("p", {1, 2}, {0, 1}), FloatTensor("p", {1, 3}, {0, 1, 0}))
                  .empty());
}

}  // namespace
}  // namespace penstock::router
