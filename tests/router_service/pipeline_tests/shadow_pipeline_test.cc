#include <cmath>

#include "router_service/dispatch/choice/exploration.h"
#include "router_service/dispatch/shadow/shadow_trials.h"
#include "router_service/quality/artifact_checksum.h"
#include "tests/router_service/pipeline_tests/router_fixture.h"
#include "tests/router_service/recording/logged_lines.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

// Live files believe in `small`, the shadow's in `big`; both whatever the request.
class ShadowPipeline : public RouterFixture {
 protected:
  static constexpr float kLiveSmall = 0.9f, kShadowSmall = 0.2f;

  void BuildWithShadow(const std::string& promote = "", const std::string& more = "") {
    live_ = WriteQuality("live.safetensors", kLiveSmall, 0.1f);
    shadow_ = WriteQuality("shadow.safetensors", kShadowSmall, 0.95f);
    Build(absl::StrCat(
        kTwoExperts,
        "  features: {tensor_pooling: {input: x}}\n  quality_file: ", dir_.File("live.safetensors"),
        "\n  shadow: {quality_file: ", dir_.File("shadow.safetensors"), promote, "}\n", more));
    ASSERT_NE(catalogue_->Find("pool")->rooms, nullptr)
        << catalogue_->Find("pool")->NotReadyBecause();
    trials_ = std::make_unique<ShadowTrials>(*catalogue_);
    Target("small:1").AnswerWith(MakeReply(1, 0.9f, 0.1));
    Target("big:1").AnswerWith(MakeReply(1, 0.9f, 1.0));
  }

  // Its version.
  std::string WriteQuality(const std::string& name, float small, float big) {
    const auto logit = [](float p) { return std::log(p / (1 - p)); };
    const std::vector<SafetensorsTensor> tensors = {{"weight", {2, 4}, std::vector<float>(8, 0.0f)},
                                                    {"bias", {2}, {logit(small), logit(big)}},
                                                    {"mean", {2}, {small, big}}};
    EXPECT_THAT(WriteSafetensors(dir_.File(name), tensors, {{"experts", R"(["small","big"])"}}),
                IsOk());
    return ArtifactChecksum(tensors);
  }

  // What the Report RPC does.
  absl::Status Report(const std::string& id, double quality) {
    SharedDecision first;
    const absl::Status status = log_->Report(id, quality, "", &first);
    if (first != nullptr) trials_->Reported(*first);
    return status;
  }
  v1::ShadowStatus Status() {
    v1::ShadowStatus status;
    ShadowTrials::Describe(*catalogue_->Find("pool"), status);
    return status;
  }
  absl::StatusOr<PoolCatalogue::Promotion> Promote(const std::string& version) {
    return trials_->Promote("pool", version, PromotedBy::kCommand);
  }
  std::string Asked() {
    const InferReply reply = Ask(MakeRequest());
    EXPECT_THAT(reply.status, IsOk());
    return Text(reply, "penstock_experts");
  }

  std::string live_, shadow_;
  std::unique_ptr<ShadowTrials> trials_;
};

TEST_F(ShadowPipeline, DecidesBesideTheLiveFilesAndRunsNothing) {
  BuildWithShadow();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Asked(), "small");
  EXPECT_EQ(Target("big:1").calls().size(), 0u);
  EXPECT_EQ(Target("small:1").calls().size(), 5u);
  const v1::Decision decision = Last();
  EXPECT_EQ(decision.shadow_expert(), "big");
  EXPECT_NEAR(decision.shadow_quality(), kShadowSmall, 1e-5);
  EXPECT_EQ(decision.quality_version(), live_);
  EXPECT_EQ(decision.gate_version(), "");
  EXPECT_EQ(decision.runs_size(), 1);
  const v1::ShadowStatus status = Status();
  EXPECT_EQ(status.decisions(), 5u);
  EXPECT_EQ(status.agreed(), 0u);
  EXPECT_NEAR(status.live_quality(), kLiveSmall, 1e-5);
  EXPECT_NEAR(status.shadow_quality(), 0.95, 1e-5);
  EXPECT_LT(status.live_energy_j(), status.shadow_energy_j());
  EXPECT_EQ(status.live_version(), live_);
  EXPECT_EQ(status.shadow_version(), shadow_);
}

TEST_F(ShadowPipeline, KeepsToTheRequestsLimits) {
  BuildWithShadow();
  // `big` takes 1 J: the shadow too is left with `small`.
  EXPECT_THAT(Ask(MakeRequest(1, {{"penstock_energy_budget_j", 0.5}})).status, IsOk());
  EXPECT_EQ(Last().shadow_expert(), "small");
  EXPECT_EQ(Status().agreed(), 1u);
}

TEST_F(ShadowPipeline, KeepsToTheBudgetsOfALiveDecision) {
  // Without a budget it is `big`, see above; this one does not cover its 1 J.
  BuildWithShadow("", "  budgets: [{resource: JOULES, amount: 0.02, per: REQUEST}]\n");
  Asked();
  EXPECT_EQ(Last().shadow_expert(), "small");
  EXPECT_EQ(Status().agreed(), 1u);
}

TEST_F(ShadowPipeline, WhatTheCallerForcedIsNoChoiceToCompare) {
  BuildWithShadow();
  EXPECT_THAT(Ask(MakeRequest(1, {{"penstock_experts", "big"}}), ForcedRights()).status, IsOk());
  EXPECT_FALSE(Last().has_shadow_quality());
  EXPECT_EQ(Status().decisions(), 0u);
}

TEST_F(ShadowPipeline, ReportsCompareWhatBothExpectedOfTheExpertThatAnswered) {
  BuildWithShadow();
  Asked();
  const std::string id = Last().id();
  EXPECT_THAT(Report(id, 0), IsOk());
  EXPECT_THAT(Report(id, 1), IsOk());  // a correction: the log's, not another comparison
  const v1::ShadowStatus status = Status();
  EXPECT_EQ(status.reports(), 1u);
  EXPECT_NEAR(status.live_brier(), 0.81, 1e-5);
  EXPECT_NEAR(status.shadow_brier(), 0.04, 1e-5);
  EXPECT_NEAR(status.brier_gain(), 0.77, 1e-5);
}

// A promotion forgets what exploration learned: the files alone are compared.
TEST_F(ShadowPipeline, OfAPoolThatExploresTheFilesAloneAreCompared) {
  BuildWithShadow("", "  exploration: {uniform: 0, beta: 0, forget: 1}\n");
  double learned = kLiveSmall;
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(Asked(), "small");
    const v1::Decision decision = Last();
    ASSERT_EQ(decision.candidates_size(), 2);
    learned = decision.candidates(0).quality();
    SharedDecision first;
    EXPECT_THAT(log_->Report(decision.id(), 0.5, "", &first), IsOk());
    ASSERT_NE(first, nullptr);
    trials_->Reported(*first);
    LearnFromReport(*catalogue_, *first);
    // The explorer remembers it no more.
    trials_->Reported(*first);
  }
  EXPECT_LT(learned, 0.6);
  const v1::ShadowStatus status = Status();
  EXPECT_EQ(status.reports(), 40u);
  EXPECT_NEAR(status.live_brier(), 0.16, 1e-5);
  EXPECT_NEAR(status.shadow_brier(), 0.09, 1e-5);
}

// The choice was of the expert that failed: its probability says nothing of who stood in.
TEST_F(ShadowPipeline, AReplacementsAnswerHasNoPropensity) {
  BuildWithShadow("", "  exploration: {uniform: 0, beta: 0}\n");
  const auto report = [&] {
    EXPECT_TRUE(Last().has_propensity());
    EXPECT_THAT(Report(Last().id(), 1), IsOk());
    return catalogue_->Find("pool")->record->shadow.counts().value_gain.count();
  };
  EXPECT_EQ(Asked(), "small");
  EXPECT_EQ(report(), 1u);
  InferReply failed;
  failed.status = absl::InternalError("broken");
  Target("small:1").AnswerWith(failed);
  EXPECT_EQ(Asked(), "big");
  EXPECT_EQ(report(), 1u);
  EXPECT_EQ(Status().reports(), 2u);
}

TEST_F(ShadowPipeline, PromotionChangesWhoIsAskedAndWhatDecided) {
  BuildWithShadow();
  EXPECT_EQ(Asked(), "small");
  const auto promotion = Promote(shadow_);
  ASSERT_THAT(promotion.status(), IsOk());
  EXPECT_EQ(promotion->live_version, shadow_);
  EXPECT_EQ(promotion->previous_version, live_);
  EXPECT_EQ(Asked(), "big");
  EXPECT_EQ(Last().quality_version(), shadow_);
  EXPECT_EQ(Last().shadow_expert(), "");
  EXPECT_EQ(Status().live_version(), shadow_);
  EXPECT_EQ(Status().shadow_version(), "");
  EXPECT_EQ(Status().promoted_version(), shadow_);
}

TEST_F(ShadowPipeline, OnlyTheVersionThatWasNamedIsPromoted) {
  BuildWithShadow();
  EXPECT_THAT(Promote("0123").status(),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr(shadow_)));
  EXPECT_THAT(trials_->Promote("nothing", "", PromotedBy::kCommand).status(),
              StatusIs(StatusCode::kNotFound, HasSubstr("nothing")));
  EXPECT_EQ(Asked(), "small");
  EXPECT_EQ(Status().promoted_version(), "");
  EXPECT_THAT(Promote("").status(), IsOk());
  EXPECT_EQ(Asked(), "big");
  // It has no shadow any more.
  EXPECT_THAT(Promote("").status(), StatusIs(StatusCode::kFailedPrecondition, HasSubstr(shadow_)));
}

TEST_F(ShadowPipeline, ThatWhichIsLiveStaysSoAndThatWhichWasComesBackByName) {
  BuildWithShadow();
  EXPECT_THAT(Promote(shadow_).status(), IsOk());
  const auto again = Promote(shadow_);
  ASSERT_THAT(again.status(), IsOk());
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(again->previous_version, live_);
  ASSERT_THAT(Promote(live_).status(), IsOk());
  EXPECT_EQ(Asked(), "small");
  EXPECT_EQ(Status().shadow_version(), shadow_);
}

TEST_F(ShadowPipeline, RequestsUnderWayKeepTheFilesThatTheyBeganWith) {
  BuildWithShadow();
  Target("small:1").AnswerWith(nullptr);
  const auto under_way = Send(MakeRequest());
  const auto held = Target("small:1").WaitForCall(0);
  ASSERT_NE(held, nullptr);
  ASSERT_THAT(Promote(shadow_).status(), IsOk());
  EXPECT_EQ(Asked(), "big");
  held->Reply(MakeReply(1, 0.9f, 0.1));
  EXPECT_THAT(under_way->WaitForReply().status, IsOk());
  EXPECT_EQ(Last().quality_version(), live_);
  EXPECT_EQ(Last().shadow_expert(), "big");
  // Its report compares files of which one is gone.
  EXPECT_THAT(Report(Last().id(), 1), IsOk());
  EXPECT_EQ(Status().reports(), 0u);
}

TEST_F(ShadowPipeline, TheRulePromotesOnceItsReportsAreThereAndNotBefore) {
  BuildWithShadow(", promote: {reports: 30, standard_errors: 2}");
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(Asked(), "small") << i;
    EXPECT_THAT(Report(Last().id(), i % 5 == 0 ? 1 : 0), IsOk());  // right once in five
  }
  EXPECT_EQ(Status().promoted_version(), shadow_);
  EXPECT_EQ(Asked(), "big");
  // Who goes back by command is not overruled.
  ASSERT_THAT(Promote(live_).status(), IsOk());
  EXPECT_EQ(Asked(), "small");
  EXPECT_THAT(Report(Last().id(), 0), IsOk());
  EXPECT_EQ(Asked(), "small");
}

TEST_F(ShadowPipeline, TheRuleKeepsAShadowThatIsWorse) {
  BuildWithShadow(", promote: {reports: 30, standard_errors: 1}");
  for (int i = 0; i < 100; ++i) {
    Asked();
    EXPECT_THAT(Report(Last().id(), i % 5 == 0 ? 0 : 1), IsOk());
  }
  EXPECT_EQ(Status().reports(), 100u);
  EXPECT_LT(Status().brier_gain(), 0);
  EXPECT_EQ(Status().promoted_version(), "");
  EXPECT_EQ(Asked(), "small");
}

TEST_F(ShadowPipeline, ExplainShowsItWithoutCountingIt) {
  BuildWithShadow();
  const auto decision = pipeline_->Explain(EncodeInferRequest(MakeRequest()),
                                           absl::InfiniteFuture(), {}, Caller{.trusted = true});
  ASSERT_THAT(decision.status(), IsOk());
  EXPECT_EQ(decision->quality_version(), live_);
  EXPECT_EQ(decision->shadow_expert(), "big");
  EXPECT_EQ(Status().decisions(), 0u);
}

TEST_F(ShadowPipeline, FeaturesGoIntoTheLogsFolderWhereAskedFor) {
  const std::string folder = dir_.File("decisions");
  BuildWithShadow("",
                  absl::StrCat("decision_log: {directory: \"", folder, "\", features: true}\n"));
  InferRequest request = MakeRequest();
  request.inputs[0] = FloatTensor("x", {1, 4}, {0.5f, -1, 2, 0});
  EXPECT_THAT(Ask(request).status, IsOk());
  EXPECT_FALSE(Last().has_features());
  log_.reset();  // writes what is queued
  const std::vector<v1::Decision> decisions = DecisionsIn(folder);
  ASSERT_EQ(decisions.size(), 1u);
  EXPECT_EQ(decisions[0].features().dimension(), 4u);
  EXPECT_THAT(decisions[0].features().values(), ::testing::ElementsAre(0.5f, -1, 2, 0));
}

TEST_F(ShadowPipeline, AShadowThatDoesNotFitThePoolIsRefused) {
  const std::string bad = dir_.File("bad.safetensors");
  EXPECT_THAT(WriteSafetensors(bad,
                               {{"weight", {1, 4}, std::vector<float>(4, 0.0f)},
                                {"bias", {1}, {0}},
                                {"mean", {1}, {0.5f}}},
                               {{"experts", R"(["small"])"}}),
              IsOk());
  const auto status = [&](const std::string& more) {
    config::v1::Router config;
    EXPECT_THAT(ReadYaml(absl::StrCat(kTwoExperts, more), config), IsOk());
    config.mutable_pools(0)->set_batched(true);
    config::v1::TensorSpec& in = *config.mutable_pools(0)->add_inputs();
    in.set_name("x");
    in.set_datatype("FP32");
    in.add_shape(4);
    config::v1::TensorSpec& out = *config.mutable_pools(0)->add_outputs();
    out.set_name("p");
    out.set_datatype("FP32");
    out.add_shape(2);
    return PoolCatalogue::Create(config, false, timers_, clock_, connector_).status();
  };
  EXPECT_THAT(
      status(absl::StrCat(
          "  features: {tensor_pooling: {input: x}}\n  shadow: {quality_file: ", bad, "}\n")),
      StatusIs(StatusCode::kInvalidArgument,
               ::testing::AllOf(HasSubstr("shadow"), HasSubstr("big"))));
  EXPECT_THAT(status("  shadow: {}\n"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("shadow: wanted")));
  EXPECT_THAT(status("  shadow: {gate: {random: {}}}\n"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("shadow.gate")));
  EXPECT_THAT(status("  granularity: ROW\n  combiner: WEIGHTED_SUM\n  shadow: {quality_file: q}\n"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("REQUEST")));
  EXPECT_THAT(status("  shadow: {quality_file: q, promote: {reports: 5}}\n"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("shadow.promote.reports")));
}

}  // namespace
}  // namespace penstock::router
