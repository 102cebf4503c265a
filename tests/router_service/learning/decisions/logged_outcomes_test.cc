#include "router_service/learning/decisions/logged_outcomes.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "router_service/features/text_features.h"
#include "router_service/learning/policies/logged_policies.h"
#include "router_service/learning/text/text_trainer.h"
#include "router_service/learning/trainer.h"
#include "router_service/quality/quality_model.h"
#include "router_service/recording/decision_id.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Id(uint64_t sequence, uint32_t instance = 1) {
  return DecisionId{instance, sequence}.ToString();
}

// A decision of two experts, answered by `expert`.
v1::Decision Decided(uint64_t sequence, const std::string& expert,
                     const std::vector<float>& z = {0.5f, -1}) {
  v1::Decision decision;
  decision.set_id(Id(sequence));
  decision.set_pool("pool");
  decision.set_tenant("acme");
  for (const char* name : {"small", "big"}) {
    v1::Candidate& candidate = *decision.add_candidates();
    candidate.set_expert(name);
    candidate.set_quality(name == std::string("small") ? 0.6 : 0.8);
  }
  v1::Run& run = *decision.add_runs();
  run.set_expert(expert);
  run.set_reason("chosen");
  run.set_status("OK");
  run.set_energy_j(expert == "small" ? 0.1 : 1);
  run.set_energy_method("counter");
  run.set_latency_ms(20);
  decision.mutable_features()->set_dimension(static_cast<uint32_t>(z.size()));
  decision.mutable_features()->mutable_values()->Add(z.begin(), z.end());
  return decision;
}

v1::Decision Reported(v1::Decision decision, double quality) {
  decision.clear_features();
  decision.set_reported_quality(quality);
  return decision;
}

// As a router that did not decide writes it.
v1::Decision Foreign(uint64_t sequence, double quality, const std::string& tenant) {
  v1::Decision decision;
  decision.set_id(Id(sequence));
  decision.set_tenant(tenant);
  decision.set_reported_quality(quality);
  return decision;
}

std::string Line(const v1::Decision& decision) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(decision, &line, options).ok());
  return line + "\n";
}

class LoggedOutcomesTest : public ::testing::Test {
 protected:
  absl::StatusOr<LoggedOutcomes> Read(const std::string& text, const std::string& pool = "",
                                      size_t max_bad_lines = 0) {
    dir_.Write("a.jsonl", text);
    return ReadLoggedOutcomes({{dir_.File("a.jsonl")}, pool, {}, max_bad_lines});
  }

  TempDir dir_;
};

TEST_F(LoggedOutcomesTest, JoinsDecisionsWithTheirReports) {
  const auto logged =
      Read(Line(Decided(1, "small")) + Line(Decided(2, "big", {2, 3})) +
           Line(Reported(Decided(2, "big"), 0.25)) + Line(Reported(Decided(1, "small"), 1)));
  ASSERT_THAT(logged.status(), IsOk());
  EXPECT_EQ(logged->pool, "pool");
  EXPECT_THAT(logged->experts, ElementsAre("small", "big"));
  ASSERT_EQ(logged->rows.size(), 2u);
  EXPECT_EQ(logged->rows[0].asked, 0u);
  EXPECT_EQ(logged->rows[0].quality, 1);
  EXPECT_EQ(logged->rows[1].asked, 1u);
  EXPECT_EQ(logged->rows[1].quality, 0.25);
  EXPECT_EQ(logged->rows[1].joules, 1);
  EXPECT_FLOAT_EQ(logged->rows[1].seconds, 0.02f);
  EXPECT_TRUE(std::isnan(logged->rows[1].propensity));
  EXPECT_THAT(logged->rows[1].features.values(), ElementsAre(2, 3));
}

TEST_F(LoggedOutcomesTest, TheOthersCellsAreBlank) {
  v1::Decision second = Decided(2, "big");
  second.set_propensity(0.25);
  const auto logged = Read(Line(Decided(1, "small")) + Line(Foreign(1, 1, "acme")) + Line(second) +
                           Line(Foreign(2, 0, "acme")));
  ASSERT_THAT(logged.status(), IsOk());
  const auto table = ToOutcomeTable(*logged);
  ASSERT_THAT(table.status(), IsOk());
  EXPECT_TRUE(table->partial());
  EXPECT_EQ(table->cost_unit, "joules");
  EXPECT_EQ(table->quality[table->At(0, 0)], 1);
  EXPECT_EQ(table->quality[table->At(1, 1)], 0);
  EXPECT_TRUE(std::isnan(table->quality[table->At(1, 0)]));
  EXPECT_TRUE(std::isnan(table->quality[table->At(0, 1)]));
  EXPECT_FLOAT_EQ(table->cost[table->At(0, 0)], 0.1f);
  EXPECT_TRUE(std::isnan(table->cost[table->At(1, 0)]));
  EXPECT_EQ(table->propensity[1], 0.25f);
}

TEST_F(LoggedOutcomesTest, APropensityIsOfTheExpertThatWasChosen) {
  v1::Decision replaced = Decided(1, "small");
  replaced.set_propensity(0.25);
  replaced.mutable_runs(0)->set_status("UNAVAILABLE");
  v1::Run& other = *replaced.add_runs();
  other = replaced.runs(0);
  other.set_expert("big");
  other.set_reason("retry");
  other.set_status("OK");
  const auto logged = Read(Line(replaced) + Line(Foreign(1, 1, "acme")));
  ASSERT_THAT(logged.status(), IsOk());
  ASSERT_EQ(logged->rows.size(), 1u);
  EXPECT_EQ(logged->experts[logged->rows[0].asked], "big");
  EXPECT_TRUE(std::isnan(logged->rows[0].propensity));
}

TEST_F(LoggedOutcomesTest, ReportsThatOtherRoutersTookCountWhereverTheyStand) {
  dir_.Write("a.jsonl", Line(Decided(1, "small")) + Line(Decided(2, "small")));
  dir_.Write("b.jsonl", Line(Foreign(1, 0.5, "acme")) + Line(Foreign(2, 0.75, "")));
  for (const auto& files :
       std::vector<std::vector<std::string>>{{dir_.File("a.jsonl"), dir_.File("b.jsonl")},
                                             {dir_.File("b.jsonl"), dir_.File("a.jsonl")}}) {
    const auto logged = ReadLoggedOutcomes({files, "", {}, 0});
    ASSERT_THAT(logged.status(), IsOk());
    ASSERT_EQ(logged->rows.size(), 2u);
    EXPECT_EQ(logged->rows[0].quality, 0.5f);
    EXPECT_EQ(logged->rows[1].quality, 0.75f);
  }
}

TEST_F(LoggedOutcomesTest, AnotherTenantsReportDoesNotCount) {
  const auto logged =
      Read(Line(Decided(1, "small")) + Line(Foreign(1, 1, "acme")) + Line(Foreign(1, 0, "zenith")) +
           Line(Decided(2, "small")) + Line(Foreign(2, 0, "zenith")));
  ASSERT_THAT(logged.status(), IsOk());
  ASSERT_EQ(logged->rows.size(), 1u);
  EXPECT_EQ(logged->rows[0].quality, 1);
  EXPECT_EQ(logged->unreported, 1u);
}

TEST_F(LoggedOutcomesTest, WhatTeachesNothingIsCounted) {
  v1::Decision combined = Decided(2, "small");
  *combined.add_runs() = combined.runs(0);
  combined.mutable_runs(1)->set_expert("big");
  v1::Decision failed = Decided(3, "small");
  failed.mutable_runs(0)->set_status("INTERNAL");
  v1::Decision other = Decided(4, "small");
  other.set_pool("other");
  const std::string text = Line(Decided(1, "small")) + Line(Foreign(1, 1, "")) + Line(combined) +
                           Line(failed) + Line(other) + Line(Decided(5, "big"));
  const auto logged = Read(text, "pool");
  ASSERT_THAT(logged.status(), IsOk());
  EXPECT_EQ(logged->rows.size(), 1u);
  EXPECT_EQ(logged->combined, 2u);
  EXPECT_EQ(logged->other_pools, 1u);
  EXPECT_EQ(logged->unreported, 1u);
  EXPECT_THAT(Read(text).status(),
              StatusIs(StatusCode::kInvalidArgument, AllOf(HasSubstr("pool"), HasSubstr("other"))));
}

// What moved the prices stands in the same file.
TEST_F(LoggedOutcomesTest, EventsBetweenDecisionsAreNoMalformedLines) {
  const auto logged = Read("{\"router\":1,\"sequence\":\"1\"}\n" + Line(Decided(1, "small")) +
                           "{\"sequence\":\"2\"}\n" + Line(Foreign(1, 1, "")));
  ASSERT_THAT(logged.status(), IsOk());
  EXPECT_EQ(logged->rows.size(), 1u);
  EXPECT_EQ(logged->bad_lines, 0u);
}

TEST_F(LoggedOutcomesTest, MalformedLinesAreNamedAndSkippedUpToTheLimit) {
  v1::Decision crooked = Decided(7, "small");
  crooked.mutable_features()->add_indices(1);
  const std::string text = Line(Decided(1, "small")) + "{\"id\": 3\n" + "\n" + Line(crooked) +
                           Line(Foreign(1, 1, "")) + R"({"id": "x"})" + "\n";
  const auto logged = Read(text, "", 3);
  ASSERT_THAT(logged.status(), IsOk());
  EXPECT_EQ(logged->rows.size(), 1u);
  EXPECT_EQ(logged->bad_lines, 3u);
  EXPECT_THAT(logged->bad, ElementsAre(HasSubstr("a.jsonl:2: "),
                                       AllOf(HasSubstr("a.jsonl:4: "), HasSubstr("features")),
                                       AllOf(HasSubstr("a.jsonl:6: "), HasSubstr("decision_id"))));
  EXPECT_THAT(Read(text, "", 2).status(),
              StatusIs(StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("a.jsonl:6"), HasSubstr("more than 2"))));
  EXPECT_THAT(Read(text).status(), StatusIs(StatusCode::kInvalidArgument, HasSubstr("a.jsonl:2")));
}

TEST_F(LoggedOutcomesTest, ALogWithoutReportsOrFeaturesIsRefused) {
  EXPECT_THAT(Read(Line(Decided(1, "small"))).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("reported quality")));
  EXPECT_THAT(Read(Line(Reported(Decided(1, "small"), 1))).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("features")));
}

// `small` is right where z0 < 0, `big` where z0 > 0; asked with 0.7 and 0.3 whatever z is.
std::string Traffic(int decisions, bool propensities) {
  std::string text;
  for (int i = 0; i < decisions; ++i) {
    CounterRandom random(3, static_cast<uint64_t>(i));
    const float z0 = static_cast<float>(2 * random.Uniform() - 1);
    const bool small = random.Uniform() < 0.7;
    const bool right = random.Uniform() < (small == (z0 < 0) ? 0.95 : 0.2);
    v1::Decision decision = Decided(static_cast<uint64_t>(i), small ? "small" : "big", {z0, 0.5f});
    if (propensities) decision.set_propensity(small ? 0.7 : 0.3);
    text += Line(decision) + Line(Foreign(static_cast<uint64_t>(i), right ? 1 : 0, "acme"));
  }
  return text;
}

TEST_F(LoggedOutcomesTest, TrainingOnALogLearnsWhomToAskWhere) {
  const auto logged = Read(Traffic(3000, true));
  ASSERT_THAT(logged.status(), IsOk());
  const auto table = ToOutcomeTable(*logged);
  ASSERT_THAT(table.status(), IsOk());
  TrainOptions options;
  options.output_folder = dir_.path();
  const auto report = TrainOn(options, *table);
  ASSERT_THAT(report.status(), IsOk());
  EXPECT_TRUE(report->partial);
  for (const PolicyReport& policy : report->policies) {
    // Estimated without an answer of the expert that was not asked; 600 held-out rows.
    const double truth = policy.name == "gate" || policy.name == "quality_argmax" ? 0.95 : 0.575;
    EXPECT_NEAR(policy.quality, truth, 4 * policy.standard_error + 0.01) << policy.name;
  }
  EXPECT_EQ(report->policies.back().name, "logged");
  EXPECT_THAT(report->warnings, Not(Contains(HasSubstr("how probable their choice was"))));

  config::v1::Pool pool;
  pool.add_experts()->set_name("small");
  pool.add_experts()->set_name("big");
  pool.set_quality_file(dir_.File("quality.safetensors"));
  const auto model = MakeQualityModel(pool, 2);
  ASSERT_THAT(model.status(), IsOk());
  std::vector<float> quality(2);
  (*model)->Predict(std::vector<float>{-0.8f, 0.5f}, absl::MakeSpan(quality));
  EXPECT_GT(quality[0], 0.8f);
  EXPECT_LT(quality[1], 0.4f);
}

TEST_F(LoggedOutcomesTest, WithoutPropensitiesTheReportSaysWhatItsFiguresAreWorth) {
  const auto logged = Read(Traffic(400, false));
  ASSERT_THAT(logged.status(), IsOk());
  const auto table = ToOutcomeTable(*logged);
  ASSERT_THAT(table.status(), IsOk());
  const auto report = TrainOn(TrainOptions(), *table);
  ASSERT_THAT(report.status(), IsOk());
  EXPECT_THAT(report->warnings,
              Contains(AllOf(HasSubstr(absl::StrCat("0 of ", report->heldout_rows)),
                             HasSubstr("how probable their choice was"))));
}

TEST_F(LoggedOutcomesTest, AnExpertThatWasNeverAskedIsAsTheLiveFilesBelieved) {
  std::string text;
  for (uint64_t i = 0; i < 100; ++i) {
    text += Line(Decided(i, "small", {0, 1})) + Line(Foreign(i, i % 2, ""));
  }
  const auto logged = Read(text);
  ASSERT_THAT(logged.status(), IsOk());
  EXPECT_THAT(logged->Notes(), Contains(HasSubstr("expert big answered no")));
  const auto table = ToOutcomeTable(*logged);
  ASSERT_THAT(table.status(), IsOk());
  EXPECT_FLOAT_EQ(table->quality[table->At(1, 7)], 0.8f);
  EXPECT_EQ(table->asked[7], 0u);
}

TEST_F(LoggedOutcomesTest, TextFeaturesTrainTheModelOfText) {
  config::v1::TextFeatures settings;
  settings.set_surface(true);
  const auto features = TextFeatures::FromSettings(settings);
  ASSERT_THAT(features.status(), IsOk());
  FeatureBuffer z;
  std::string text;
  for (uint64_t i = 0; i < 600; ++i) {
    CounterRandom random(9, i);
    const bool poem = random.Uniform() < 0.5, small = random.Uniform() < 0.5;
    features->ExtractText(
        absl::StrCat(poem ? "write a poem on the moon " : "prove the theorem of rain ",
                     random.Below(1000)),
        z);
    v1::Decision decision = Decided(i, small ? "small" : "big", {});
    v1::Features& logged = *decision.mutable_features();
    logged.set_dimension(
        static_cast<uint32_t>(features->sparse_dimension() + features->dimension()));
    logged.mutable_indices()->Add(z.indices.begin(), z.indices.end());
    logged.mutable_values()->Add(z.values.begin(), z.values.end());
    for (size_t j = 0; j < z.dense.size(); ++j) {
      logged.add_indices(static_cast<uint32_t>(features->sparse_dimension() + j));
      logged.add_values(z.dense[j]);
    }
    const bool right = random.Uniform() < (small == poem ? 0.95 : 0.2);
    text += Line(decision) + Line(Foreign(i, right ? 1 : 0, ""));
  }
  const auto logged = Read(text);
  ASSERT_THAT(logged.status(), IsOk());
  EXPECT_EQ(ToOutcomeTable(*logged).status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(ToTextOutcomes(*logged, config::v1::TextFeatures()).status(),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("settings")));
  const auto outcomes = ToTextOutcomes(*logged, settings);
  ASSERT_THAT(outcomes.status(), IsOk());
  TextTrainOptions options;
  options.outcomes.features = settings;
  options.output_folder = dir_.path();
  const auto report = TrainTextOn(options, *outcomes, MakeQualityTrainers(), [] { return 0.0; });
  ASSERT_THAT(report.status(), IsOk());
  EXPECT_EQ(report->cost_unit, "");

  config::v1::Pool pool;
  pool.add_experts()->set_name("small");
  pool.add_experts()->set_name("big");
  pool.set_quality_file(dir_.File("quality.safetensors"));
  *pool.mutable_features()->mutable_text() = settings;
  const auto model = MakeQualityModel(pool, features->dimension());
  ASSERT_THAT(model.status(), IsOk());
  EXPECT_NEAR((*model)->mean_joules()[1], 1, 1e-5);
  std::vector<float> quality(2);
  features->ExtractText("write a poem on the moon", z);
  (*model)->Predict(z.view(), absl::MakeSpan(quality));
  EXPECT_GT(quality[0], quality[1] + 0.3f);
}

// By hand: the doubly robust estimates of a table of two rows and two experts.
TEST(LoggedPoliciesTest, AreThePredictionAndWhatWasSeenBeyondItOverThePropensity) {
  OutcomeTable table;
  table.experts = {"a", "b"};
  table.ids = {"1", "2"};
  const float unknown = std::nanf("");
  table.quality = {1, unknown, unknown, 0};
  table.cost = {2, unknown, unknown, 6};
  table.cost_unit = "joules";
  table.asked = {0, 1};
  table.propensity = {0.5f, unknown};
  const std::vector<float> predicted = {0.6f, 0.7f, 0.3f, 0.4f};
  TrainReport report;
  // The gate prefers `a`.
  ASSERT_THAT(CompareLoggedPolicies(table, table, {1, 1, 0, 0}, predicted, report), IsOk());
  ASSERT_EQ(report.policies.size(), 5u);
  const double of_a = ((0.6 + 0.4 / 0.5) + 0.7) / 2, of_b = (0.3 + 0.4 - 0.4) / 2;
  EXPECT_EQ(report.policies[0].name, "gate");
  EXPECT_NEAR(report.policies[0].quality, of_a, 1e-6);
  EXPECT_NEAR(report.policies[0].mean_cost, 2, 1e-6);
  EXPECT_NEAR(report.policies[1].quality, of_a, 1e-6);
  EXPECT_NEAR(report.policies[2].quality, (of_a + of_b) / 2, 1e-6);
  EXPECT_NEAR(report.policies[2].mean_cost, 4, 1e-6);
  EXPECT_EQ(report.policies[4].name, "logged");
  EXPECT_NEAR(report.policies[4].quality, 0.5, 1e-6);
  EXPECT_NEAR(report.gate_minus_random, (of_a - of_b) / 2, 1e-6);
  // Row by row: ((1.4 - 0.3) / 2, (0.7 - 0) / 2).
  EXPECT_NEAR(report.gate_minus_random_error, (0.55 - 0.35) / 2, 1e-6);
  EXPECT_THAT(report.warnings, ElementsAre(HasSubstr("1 of 2")));
}

}  // namespace
}  // namespace penstock::router
