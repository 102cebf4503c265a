#include "router_service/learning/text/text_trainer.h"
#include "tests/router_service/learning/text/poems_and_proofs.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

// Prompts of poems go to `small`, of proofs to `big`.
class DisagreementPipeline : public RouterFixture {
 protected:
  void BuildText(const std::string& more) {
    dir_.Write("outcomes.jsonl", PoemsAndProofs(400));
    TextTrainOptions options;
    options.outcomes.file = dir_.File("outcomes.jsonl");
    options.outcomes.features.set_parameter("prompt");
    options.output_folder = dir_.path();
    const auto report = TrainText(options, MakeQualityTrainers(), [] { return 0.0; });
    ASSERT_THAT(report.status(), IsOk());
    // Written otherwise only, no prompt changes its expert more often than in 2 % of tries.
    EXPECT_GT(report->flip_rate.texts, 0u);
    EXPECT_LE(report->flip_rate.rate(), 0.02);
    Build(absl::StrCat(kTwoExperts, report->pool_yaml, more));
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, std::nullopt));
    Target("big:1").AnswerWith(MakeReply(1, 0.9f, std::nullopt));
  }
  v1::Decision Decide(const std::string& prompt) {
    EXPECT_THAT(Ask(MakeRequest(1, {{"prompt", prompt}})).status, IsOk());
    return Last();
  }
  static std::string Times(const std::string& text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) absl::StrAppend(&out, text, " ");
    return out;
  }
};

constexpr char kPoem[] = "write a poem on the moon";
constexpr char kProof[] = "give a proof of the theorem of rain";

TEST_F(DisagreementPipeline, APromptOfTwoMindsIsFlaggedAndDecidedAsBefore) {
  BuildText("  guards: {disagreement: true}\n");
  const std::string mixed = Times(kPoem, 12) + Times(kProof, 12);
  const v1::Decision decision = Decide(mixed);
  EXPECT_THAT(decision.guard_flags(), ::testing::ElementsAre("features_disagree"));
  const std::string expert = decision.runs(0).expert();
  catalogue_->Stop();
  config_.Clear();
  BuildText("");
  const v1::Decision plain = Decide(mixed);
  EXPECT_EQ(plain.runs(0).expert(), expert);
  EXPECT_EQ(plain.guard_flags_size(), 0);
}

TEST_F(DisagreementPipeline, APromptOfOneMindIsNot) {
  BuildText("  guards: {disagreement: true}\n");
  EXPECT_EQ(Decide(Times(kPoem, 16)).guard_flags_size(), 0);
  EXPECT_EQ(Decide(Times(kProof, 12)).guard_flags_size(), 0);
  // Too short for its quarters to say anything.
  EXPECT_EQ(Decide(kPoem).guard_flags_size(), 0);
}

}  // namespace
}  // namespace penstock::router
