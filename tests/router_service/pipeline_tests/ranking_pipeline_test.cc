#include "router_service/combining/ranking_model.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

// One objective, "agrees", that likes the answer "yes" and not "no".
TEST_F(RouterFixture, ARankedAnswerSaysWhatEachObjectiveAdded) {
  const RankingFeatures features = *RankingFeatures::Create(8, 8);
  RankingModel model;
  model.objectives = {"agrees"};
  const std::vector<float> yes = features.Answer("", "yes"), no = features.Answer("", "no");
  for (size_t i = 0; i < yes.size(); ++i) model.heads.push_back(yes[i] - no[i]);
  model.heads_bias = {0};
  model.length_head.assign(yes.size(), 0.0f);
  model.penalty = {0};
  model.gate.assign(features.prompt_dimension(), 0.0f);
  model.gate_bias = {0};
  const std::string path = dir_.File("ranking.safetensors");
  ASSERT_THAT(WriteRankingModel(path, model, features), IsOk());
  Build(absl::StrCat(kTwoExperts,
                     "  selection: {max_experts: 2}\n  combiner: RANKED\n  combined_output: label\n"
                     "  ranking: {file: ",
                     path, "}\n"));
  Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));  // yes
  Target("big:1").AnswerWith(MakeReply(1, 0.1f, 1.0));    // no
  const InferReply reply = Ask(MakeRequest());
  ASSERT_THAT(reply.status, IsOk());
  EXPECT_THAT(Floats(reply, "p"), ::testing::ElementsAre(0.9f, 1 - 0.9f));
  const v1::Decision decision = Last();
  ASSERT_EQ(decision.runs_size(), 2);
  double of_small = 0, of_big = 0;
  for (const v1::Run& run : decision.runs()) {
    ASSERT_EQ(run.contributions().count("agrees"), 1u);
    (run.expert() == "small" ? of_small : of_big) = run.contributions().at("agrees");
  }
  EXPECT_GT(of_small, of_big);
}

}  // namespace
}  // namespace penstock::router
