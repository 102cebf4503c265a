#include "router_service/learning/text/text_trainer.h"
#include "tests/router_service/learning/text/poems_and_proofs.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

// A pool that routes prompts, by a model trained on an outcome table.
class TextPipeline : public RouterFixture {
 protected:
  void BuildText(const std::string& more = "") {
    dir_.Write("outcomes.jsonl", PoemsAndProofs(400));
    TextTrainOptions options;
    options.outcomes.file = dir_.File("outcomes.jsonl");
    options.outcomes.features.set_parameter("prompt");
    options.output_folder = dir_.path();
    const auto report = TrainText(options, MakeQualityTrainers(), [] { return 0.0; });
    ASSERT_THAT(report.status(), IsOk());
    Build(absl::StrCat(kTwoExperts, report->pool_yaml, more));
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, std::nullopt));
    Target("big:1").AnswerWith(MakeReply(1, 0.9f, std::nullopt));
  }
  static InferRequest Prompt(const std::string& prompt) {
    return MakeRequest(1, {{"prompt", prompt}});
  }
};

constexpr char kPoem[] = "write a poem on the moon";
constexpr char kProof[] = "give a proof of the theorem of rain";

TEST_F(TextPipeline, EachPromptGoesToTheExpertThatIsRightOnIt) {
  BuildText();
  const InferReply poem = Ask(Prompt(kPoem)), proof = Ask(Prompt(kProof));
  ASSERT_THAT(poem.status, IsOk());
  ASSERT_THAT(proof.status, IsOk());
  EXPECT_EQ(Text(poem, "penstock_experts"), "small");
  EXPECT_EQ(Text(proof, "penstock_experts"), "big");
}

TEST_F(TextPipeline, JoulesAreThoseOfTheAnswersExpectedLength) {
  BuildText();
  Ask(Prompt(kPoem));
  const v1::Decision poem = Last();
  Ask(Prompt(kProof));
  const v1::Decision proof = Last();
  // Described: 1 J a row in the mean of 212 tokens; a poem takes a twentieth of a proof.
  EXPECT_LT(poem.candidates(1).energy_j(), 0.4);
  EXPECT_GT(proof.candidates(1).energy_j(), 1.2);
  EXPECT_GT(proof.candidates(1).latency_ms(), 3 * poem.candidates(1).latency_ms());
}

TEST_F(TextPipeline, WhatIsLearntIsTheCostOfAMeanAnswer) {
  BuildText();
  // Proofs alone, metered as predicted: the cost of a mean answer stays what it was.
  Ask(Prompt(kProof));
  const double before = Last().candidates(1).energy_j();
  Target("big:1").AnswerWith(MakeReply(1, 0.9f, before));
  for (int i = 0; i < 50; ++i) Ask(Prompt(kProof));
  EXPECT_NEAR(Last().candidates(1).energy_j(), before, 0.02 * before);
  EXPECT_NEAR(catalogue_->Find("pool")->record->cost.Estimate(1, 0, 1, {}).energy_j, 1, 0.05);
}

// Else a prompt that lets a dear expert's answer seem short would be out of the price's reach.
TEST_F(TextPipeline, WhoTookMoreThanItsPartIsPricedByMeanAnswers) {
  BuildText("  budgets: [{resource: JOULES, amount: 0.3, per: REQUEST, bound_tenants: true}]\n");
  const auto ask = [&](const std::string& tenant, const char* prompt, const std::string& experts) {
    InferRequest request = Prompt(prompt);
    if (!experts.empty()) request.parameters.push_back({"penstock_experts", experts});
    Ask(request, Rights({.forced_experts = true}, tenant));
    return Last();
  };
  for (int i = 0; i < 20; ++i) {
    ask("modest", kPoem, "small");
    ask("greedy", kProof, "big");
  }
  EXPECT_LT(ask("modest", kPoem, "").candidates(1).energy_j(), 0.4);
  const v1::Decision greedy = ask("greedy", kPoem, "");
  EXPECT_GT(greedy.price_multiplier(), 1);
  EXPECT_NEAR(greedy.candidates(1).energy_j(), 1, 0.05);
}

TEST_F(TextPipeline, AnExpertThatTellsNoJoulesStartsFromTheTablesOwn) {
  Replica("big:1").facts->description.reset();
  BuildText();
  // 212 tokens at 2 J in the mean of the table.
  EXPECT_NEAR(catalogue_->Find("pool")->record->cost.Estimate(1, 0, 1, {}).energy_j, 424, 5);
}

TEST_F(TextPipeline, ARequestWithoutAPromptIsRefused) {
  BuildText();
  EXPECT_THAT(Ask(MakeRequest()).status,
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("parameter prompt is missing")));
}

TEST_F(TextPipeline, HostilePromptsAreAnswered) {
  BuildText();
  for (const std::string& prompt :
       {std::string(), std::string(1 << 20, '\xFF'), std::string("\0\x01\xED\xA0\x80", 5)}) {
    EXPECT_THAT(Ask(MakeRequest(1, {{"prompt", prompt}})).status.code(),
                ::testing::AnyOf(StatusCode::kOk, StatusCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace penstock::router
