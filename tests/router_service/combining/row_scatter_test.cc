#include "router_service/combining/row_scatter.h"

#include <cmath>
#include <cstring>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/combine/combine.h"
#include "kernels/device/aligned_buffer.h"
#include "kernels/moe_ffn/moe_ffn.h"
#include "kernels/route_plan/route_plan.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Outputs = std::vector<Tensor>;

TEST(GatherRows, TakesRowsInTheOrderAsked) {
  const auto gathered = GatherRows(FloatTensor("x", {3, 2}, {1, 2, 3, 4, 5, 6}), {2, 0, 2});
  ASSERT_TRUE(gathered.ok()) << gathered.status();
  EXPECT_THAT(gathered->shape, ElementsAre(3, 2));
  EXPECT_THAT(*ToFloats(*gathered), ElementsAre(5, 6, 1, 2, 5, 6));
}

TEST(GatherRows, TakesStrings) {
  const auto gathered = GatherRows(StringTensor("s", {3, 1}, {"a", "", "ccc"}), {2, 1});
  ASSERT_TRUE(gathered.ok()) << gathered.status();
  EXPECT_THAT(*ToStrings(*gathered), ElementsAre("ccc", ""));
}

TEST(GatherRows, NamesARowThatIsNotThere) {
  EXPECT_THAT(std::string(GatherRows(FloatTensor("x", {1, 2}, {1, 2}), {1}).status().message()),
              HasSubstr("\"x\" has no row 1"));
}

// Row 0: a .75, b .25; row 1: b alone.
struct TwoExperts {
  Outputs a = {FloatTensor("y", {1, 2}, {4, 8}), StringTensor("who", {1}, {"a0"})};
  Outputs b = {FloatTensor("y", {2, 2}, {1, 2, 100, 200}), StringTensor("who", {2}, {"b1", "b0"})};
  std::vector<int32_t> a_rows = {0}, a_slots = {0}, b_rows = {1, 0}, b_slots = {0, 1};
  std::vector<float> a_weights = {0.75f}, b_weights = {1, 0.25f};

  absl::StatusOr<Outputs> Scatter(config::v1::Combiner kind) const {
    return ScatterRows(
        kind, 2, {{"a", &a, a_rows, a_weights, a_slots}, {"b", &b, b_rows, b_weights, b_slots}});
  }
};

TEST(ScatterRows, SumsWeightedRowsAndTakesTheRestFromTheBestSlot) {
  const auto whole = TwoExperts().Scatter(config::v1::WEIGHTED_SUM);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_THAT(*ToFloats((*whole)[0]), ElementsAre(28, 56, 1, 2));
  EXPECT_THAT((*whole)[0].shape, ElementsAre(2, 2));
  EXPECT_THAT(*ToStrings((*whole)[1]), ElementsAre("a0", "b1"));
}

TEST(ScatterRows, TakesTheBestSlotUnweighted) {
  const auto whole = TwoExperts().Scatter(config::v1::BEST);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_THAT(*ToFloats((*whole)[0]), ElementsAre(4, 8, 1, 2));
}

TEST(ScatterRows, RenormalisesAMixture) {
  const auto whole = TwoExperts().Scatter(config::v1::MIXTURE_OF_PROBABILITIES);
  ASSERT_TRUE(whole.ok()) << whole.status();
  const std::vector<float> y = *ToFloats((*whole)[0]);
  EXPECT_NEAR(y[0], 28.0 / 84, 1e-6);
  EXPECT_NEAR(y[2] + y[3], 1, 1e-6);
}

TEST(ScatterRows, RefusesAVote) {
  EXPECT_EQ(TwoExperts().Scatter(config::v1::VOTE).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ScatterRows, RefusesARowWithoutAnswer) {
  TwoExperts experts;
  experts.b_rows = {0, 0};
  experts.b_slots = {1, 2};
  EXPECT_THAT(std::string(experts.Scatter(config::v1::WEIGHTED_SUM).status().message()),
              HasSubstr("row 1 has no answer"));
}

TEST(ScatterRows, NamesAnExpertWithTheWrongNumberOfRows) {
  TwoExperts experts;
  experts.b[0] = FloatTensor("y", {1, 2}, {1, 2});
  EXPECT_THAT(std::string(experts.Scatter(config::v1::WEIGHTED_SUM).status().message()),
              HasSubstr("expert \"b\" answered output \"y\" [1,2] to 2 rows"));
}

TEST(ScatterRows, RefusesTwoAnswersInOneSlot) {
  TwoExperts experts;
  experts.b_slots = {0, 0};
  EXPECT_THAT(std::string(experts.Scatter(config::v1::WEIGHTED_SUM).status().message()),
              HasSubstr("row 0 has two answers in slot 0"));
}

// The same mixture as one layer: experts' own outputs scattered here against moe_ffn's.
TEST(ScatterRows, EqualsTheMonolithicMixture) {
  constexpr int64_t kRows = 37, kExperts = 5, kK = 2, kDim = 12, kHidden = 16;
  CounterRandom random(5, 5);
  const auto draw = [&](size_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = static_cast<float>(random.Uniform() - 0.5);
    return values;
  };
  const std::vector<float> gate = draw(kExperts * kHidden * kDim),
                           up = draw(kExperts * kHidden * kDim),
                           down = draw(kExperts * kDim * kHidden), x = draw(kRows * kDim);
  std::vector<int32_t> ids(kRows * kK);
  std::vector<float> weights(kRows * kK);
  for (int64_t row = 0; row < kRows; ++row) {
    ids[row * kK] = static_cast<int32_t>(random.Below(kExperts));
    ids[row * kK + 1] =
        static_cast<int32_t>((ids[row * kK] + 1 + random.Below(kExperts - 1)) % kExperts);
    weights[row * kK] = 0.5f + static_cast<float>(random.Uniform()) / 2;
    weights[row * kK + 1] = 1 - weights[row * kK];
  }
  const auto run = [&](const kernels::PackedMoe& moe, int64_t rows, int64_t k, int64_t experts,
                       const std::vector<int32_t>& of, const std::vector<float>& w,
                       const std::vector<float>& in) {
    std::vector<int32_t> counts(experts), offsets(experts + 1), src(rows * k), dst(rows * k);
    const kernels::PlanView plan{counts.data(), offsets.data(), src.data(), dst.data()};
    kernels::RoutePlanArgs plan_args;
    plan_args.rows = rows;
    plan_args.k = k;
    plan_args.experts = experts;
    plan_args.ids = of.data();
    plan_args.plan = plan;
    EXPECT_TRUE(kernels::RoutePlan(plan_args).ok());
    kernels::MoeFfnArgs args;
    args.w = moe.weights();
    args.rows = rows;
    args.k = k;
    args.plan = plan;
    args.weights = w.data();
    args.x = in.data();
    std::vector<float> y(rows * kDim);
    args.y = y.data();
    kernels::AlignedBuffer workspace(kernels::MoeFfnWorkspaceBytes(moe.weights(), rows, k));
    args.workspace = {workspace.data(), workspace.bytes()};
    EXPECT_TRUE(kernels::MoeFfn(args).ok());
    return y;
  };
  const kernels::PackedMoe whole(gate.data(), up.data(), down.data(), kExperts, kDim, kHidden,
                                 kDim);
  const std::vector<float> expected = run(whole, kRows, kK, kExperts, ids, weights, x);

  std::vector<std::vector<int32_t>> rows(kExperts), slots(kExperts);
  std::vector<std::vector<float>> part_weights(kExperts);
  std::vector<Outputs> outputs(kExperts);
  std::vector<RowAnswer> answers;
  const Tensor input = FloatTensor("x", {kRows, kDim}, x);
  for (int64_t e = 0; e < kExperts; ++e) {
    for (int64_t at = 0; at < kRows * kK; ++at) {
      if (ids[at] != e) continue;
      rows[e].push_back(static_cast<int32_t>(at / kK));
      slots[e].push_back(static_cast<int32_t>(at % kK));
      part_weights[e].push_back(weights[at]);
    }
    const int64_t count = static_cast<int64_t>(rows[e].size());
    const kernels::PackedMoe one(gate.data() + e * kHidden * kDim, up.data() + e * kHidden * kDim,
                                 down.data() + e * kDim * kHidden, 1, kDim, kHidden, kDim);
    const std::vector<float> part = *ToFloats(*GatherRows(input, rows[e]));
    const std::vector<float> y = run(one, count, 1, 1, std::vector<int32_t>(count, 0),
                                     std::vector<float>(count, 1.0f), part);
    outputs[e] = {FloatTensor("y", {count, kDim}, y)};
    answers.push_back({"e", &outputs[e], rows[e], part_weights[e], slots[e]});
  }
  const auto scattered = ScatterRows(config::v1::WEIGHTED_SUM, kRows, answers);
  ASSERT_TRUE(scattered.ok()) << scattered.status();
  const std::vector<float> actual = *ToFloats((*scattered)[0]);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-5) << i;
}

}  // namespace
}  // namespace penstock::router
