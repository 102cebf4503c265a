#include "router_service/combining/domain_smoothing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

// Labels 0 and 1 are in domain, 2 to 4 are not.
LabelGroups Groups() { return *LabelGroups::Create({0, 1}); }

std::vector<float> Smooth(double out_of_domain, const std::vector<float>& general,
                          const std::vector<float>& in_domain) {
  std::vector<float> mixed(general.size());
  Groups().Smooth(out_of_domain, general, in_domain, absl::MakeSpan(mixed));
  return mixed;
}

std::vector<float> RandomDistribution(CounterRandom& random, size_t labels) {
  std::vector<float> values(labels);
  float sum = 0;
  for (float& value : values) sum += value = static_cast<float>(random.Uniform()) + 1e-3f;
  for (float& value : values) value /= sum;
  return values;
}

TEST(DomainSmoothing, SumsToOneWhateverTheInputs) {
  CounterRandom random(1, 1);
  for (int i = 0; i < 200; ++i) {
    const std::vector<float> mixed =
        Smooth(random.Uniform(), RandomDistribution(random, 5), RandomDistribution(random, 5));
    EXPECT_NEAR(std::accumulate(mixed.begin(), mixed.end(), 0.0), 1, 1e-6);
    for (const float value : mixed) EXPECT_GE(value, 0);
  }
}

TEST(DomainSmoothing, TheEndsAreThePureExperts) {
  const std::vector<float> general = {0.1f, 0.1f, 0.4f, 0.2f, 0.2f};
  const std::vector<float> in_domain = {0.6f, 0.2f, 0.1f, 0.1f, 0};
  EXPECT_THAT(
      Smooth(1, general, in_domain),
      ElementsAre(0, 0, FloatNear(0.5f, 1e-6f), FloatNear(0.25f, 1e-6f), FloatNear(0.25f, 1e-6f)));
  EXPECT_THAT(Smooth(0, general, in_domain),
              ElementsAre(FloatNear(0.75f, 1e-6f), FloatNear(0.25f, 1e-6f), 0, 0, 0));
}

TEST(DomainSmoothing, InDoubtNoOverconfidentExpertWins) {
  const std::vector<float> general = {0, 0, 1, 0, 0}, in_domain = {1, 0, 0, 0, 0};
  const std::vector<float> mixed = Smooth(0.5, general, in_domain);
  // Both were sure of their own label; the mixture is sure of none.
  for (const float value : mixed) EXPECT_LT(value, 0.5f);
  // P_U (P_U 1 + (1 - P_U) / 3) and (1 - P_U)((1 - P_U) 1 + P_U / 2).
  EXPECT_NEAR(mixed[2], 0.5 * (0.5 + 0.5 / 3), 1e-6);
  EXPECT_NEAR(mixed[0], 0.5 * (0.5 + 0.25), 1e-6);
}

TEST(DomainSmoothing, KeepsTheOrderWithinAGroup) {
  CounterRandom random(2, 1);
  for (int i = 0; i < 200; ++i) {
    const std::vector<float> general = RandomDistribution(random, 5);
    const std::vector<float> in_domain = RandomDistribution(random, 5);
    const std::vector<float> mixed = Smooth(0.05 + 0.9 * random.Uniform(), general, in_domain);
    EXPECT_EQ(in_domain[0] > in_domain[1], mixed[0] > mixed[1]);
    EXPECT_EQ(general[2] > general[3], mixed[2] > mixed[3]);
    EXPECT_EQ(general[3] > general[4], mixed[3] > mixed[4]);
  }
}

TEST(DomainSmoothing, TheGateFallsWithTheScore) {
  DomainGate gate;
  gate.threshold = 1;
  gate.temperature = 0.5;
  EXPECT_DOUBLE_EQ(gate.OutOfDomain(1), 0.5);
  EXPECT_NEAR(gate.OutOfDomain(0), 1 / (1 + std::exp(-2.0)), 1e-12);
  EXPECT_NEAR(gate.OutOfDomain(2), 1 / (1 + std::exp(2.0)), 1e-12);
}

TEST(DomainSmoothing, FeaturesAreTheLargestOfBothGroups) {
  const DomainGate::Features features =
      Groups().Features({0, 0, 0.2f, 0.6f, 0.2f}, {0.8f, 0.1f, 0.1f, 0, 0});
  EXPECT_NEAR(features[0], 0.6, 1e-6);
  EXPECT_NEAR(features[1], 0.2, 1e-6);
  EXPECT_NEAR(features[2], 0.2, 1e-6);
  EXPECT_EQ(features[3], 0);
  // p^(1/3) of .8 and .1: 2 to 1.
  EXPECT_NEAR(features[5], 2.0 / 3, 1e-6);
  EXPECT_NEAR(features[6], 1.0 / 3, 1e-6);
  EXPECT_EQ(features[7], 0);
}

// A combiner over experts "own" (labels 0 and 1) and "all", whose gate reads how sure "own" is.
class SmoothedDomainsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    DomainGate gate;
    gate.weight[DomainGate::kLargest] = 10;
    gate.threshold = 6;
    ASSERT_THAT(WriteDomainGate(File(), gate), IsOk());
    pool_.set_combiner(config::v1::SMOOTHED_DOMAINS);
    config::v1::DomainSmoothing& smoothing = *pool_.mutable_domain_smoothing();
    smoothing.set_in_domain("own");
    smoothing.set_general("all");
    smoothing.add_in_domain_labels(0);
    smoothing.add_in_domain_labels(1);
    smoothing.set_file(File());
  }
  std::string File() const { return dir_.File("domain.safetensors"); }
  std::vector<float> Combine(const std::vector<ExpertAnswer>& answers) {
    const auto combiner = MakeCombiner(pool_);
    EXPECT_THAT(combiner.status(), IsOk());
    const auto combined = (*combiner)->Combine(answers);
    EXPECT_THAT(combined.status(), IsOk());
    return combined.ok() ? *ToFloats((*combined)[0]) : std::vector<float>();
  }

  TempDir dir_;
  config::v1::Pool pool_;
  const std::vector<Tensor> own_ = {FloatTensor("p", {1, 5}, {0.98f, 0.01f, 0.01f, 0, 0})};
  const std::vector<Tensor> unsure_ = {FloatTensor("p", {1, 5}, {0.3f, 0.3f, 0.2f, 0.1f, 0.1f})};
  const std::vector<Tensor> all_ = {FloatTensor("p", {1, 5}, {0.1f, 0.1f, 0.6f, 0.1f, 0.1f})};
};

TEST_F(SmoothedDomainsTest, FollowsWhoeverIsInItsDomain) {
  const std::vector<float> sure = Combine({{0, "own", 0.5f, &own_}, {1, "all", 0.5f, &all_}});
  EXPECT_EQ(std::max_element(sure.begin(), sure.end()) - sure.begin(), 0);
  const std::vector<float> unsure = Combine({{0, "own", 0.5f, &unsure_}, {1, "all", 0.5f, &all_}});
  EXPECT_EQ(std::max_element(unsure.begin(), unsure.end()) - unsure.begin(), 2);
}

TEST_F(SmoothedDomainsTest, TheConfigurationsTemperatureAndThresholdGoBeforeTheFiles) {
  pool_.mutable_domain_smoothing()->set_threshold(100);
  EXPECT_THAT(Combine({{0, "own", 0.5f, &own_}, {1, "all", 0.5f, &all_}}),
              ElementsAre(FloatNear(0, 1e-6f), FloatNear(0, 1e-6f), FloatNear(0.75f, 1e-5f),
                          FloatNear(0.125f, 1e-5f), FloatNear(0.125f, 1e-5f)));
}

TEST_F(SmoothedDomainsTest, OneAnswerAloneStands) {
  EXPECT_THAT(Combine({{1, "all", 1, &all_}}), ElementsAre(0.1f, 0.1f, 0.6f, 0.1f, 0.1f));
}

TEST_F(SmoothedDomainsTest, LabelsBeyondTheAnswerAreAnError) {
  pool_.mutable_domain_smoothing()->add_in_domain_labels(7);
  const auto combined =
      (*MakeCombiner(pool_))->Combine({{0, "own", 1, &own_}, {1, "all", 1, &all_}});
  EXPECT_EQ(combined.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(combined.status().message()), HasSubstr("an answer has 5 labels"));
}

TEST_F(SmoothedDomainsTest, SaysWhatItLacks) {
  config::v1::Pool pool = pool_;
  pool.mutable_domain_smoothing()->set_general("own");
  EXPECT_THAT(std::string(MakeCombiner(pool).status().message()), HasSubstr("wanted two experts"));
  pool = pool_;
  pool.mutable_domain_smoothing()->clear_in_domain_labels();
  EXPECT_THAT(std::string(MakeCombiner(pool).status().message()),
              HasSubstr("in_domain_labels: wanted at least one"));
  pool = pool_;
  pool.mutable_domain_smoothing()->set_temperature(-1);
  EXPECT_THAT(std::string(MakeCombiner(pool).status().message()),
              HasSubstr("temperature is -1, wanted above 0"));
}

}  // namespace
}  // namespace penstock::router
