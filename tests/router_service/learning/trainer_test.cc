#include "router_service/learning/trainer.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/tensors/safetensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"
#include "router_service/gating/gate.h"
#include "router_service/learning/table_split.h"
#include "router_service/quality/cascade_quality.h"
#include "router_service/quality/quality_model.h"

namespace penstock::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// left is right where z0 < 0 (95 %), right where z0 > 0 (95 %), both else half the time; large is
// right 97 % of the time at ten times the joules. left's confidence is its true P(right), coarsely.
std::string Synthetic(const std::string& name, int rows = 1500) {
  const std::string path = ProcessTempDir() + name;
  std::ofstream out(path);
  for (int i = 0; i < rows; ++i) {
    CounterRandom random(77, static_cast<uint64_t>(i));
    const double z0 = 2 * random.Uniform() - 1, z1 = random.Uniform();
    const double p_left = z0 < 0 ? 0.95 : 0.5, p_right = z0 > 0 ? 0.95 : 0.5;
    const auto draw = [&](double p) { return random.Uniform() < p ? 1 : 0; };
    const int left = draw(p_left), right = draw(p_right), large = draw(0.97);
    out << absl::StrCat(
        R"({"id": )", i, R"(, "features": [)", z0, ", ", z1,
        R"(], "experts": {"left": {"quality": )", left, R"(, "joules": 1, "confidence": [)", p_left,
        ", ", 1 - p_left, R"(]}, "right": {"quality": )", right,
        R"(, "joules": 1}, "large": {"quality": )", large, R"(, "joules": 10}}})", "\n");
  }
  return path;
}

struct Trained {
  TrainReport report;
  std::string folder;
};

const Trained& TrainedOnce() {
  static const Trained& trained = *new Trained([] {
    Trained result;
    result.folder = ProcessTempDir() + "trained";
    TrainOptions options;
    options.outcomes_file = Synthetic("synthetic.jsonl");
    options.output_folder = result.folder;
    options.experts = {"left", "right"};
    options.date = "2026-11-24";
    auto report = Train(options);
    EXPECT_TRUE(report.ok()) << report.status();
    if (report.ok()) result.report = *report;
    return result;
  }());
  return trained;
}

double Policy(const TrainReport& report, const std::string& name) {
  for (const PolicyReport& policy : report.policies) {
    if (policy.name == name) return policy.quality;
  }
  ADD_FAILURE() << name;
  return 0;
}

TEST(Trainer, LearnsWhichExpertIsRightWhere) {
  const TrainReport& report = TrainedOnce().report;
  // Knowing the half space gives .95, either expert alone .725; 300 held-out rows: 1.3 points
  // standard error.
  EXPECT_GT(Policy(report, "gate"), 0.90);
  EXPECT_GT(Policy(report, "quality_argmax"), 0.90);
  EXPECT_LT(Policy(report, "best_single"), 0.82);
  EXPECT_NEAR(Policy(report, "random"), 0.725, 0.06);
  EXPECT_GE(Policy(report, "oracle"), Policy(report, "gate"));
  EXPECT_GT(report.gate_minus_random, 3 * report.gate_minus_random_error);
}

TEST(Trainer, StatesTheSplit) {
  const TrainReport& report = TrainedOnce().report;
  EXPECT_EQ(report.rows, 1500u);
  EXPECT_EQ(report.train_rows + report.heldout_rows, 1500u);
  EXPECT_NEAR(static_cast<double>(report.heldout_rows), 300, 60);
  EXPECT_THAT(FormatTrainReport(report), HasSubstr("held out (seed 1)"));
}

TEST(Trainer, CalibratesTheHeads) {
  // Fifteen bins of 20 rows are off by .08 from drawing alone, and a linear head cannot be the step
  // that it is fitted to.
  for (const ExpertReport& expert : TrainedOnce().report.experts) {
    EXPECT_LT(expert.fit.ece, 0.2) << expert.name;
    EXPECT_LT(expert.fit.brier, 0.2) << expert.name;  // a constant .725 has .2
    EXPECT_GT(expert.tau, 0.5) << expert.name;
    EXPECT_LT(expert.tau, 2) << expert.name;
  }
}

TEST(Trainer, WritesAGateThatTheRouterLoads) {
  config::v1::Gate config;
  config.mutable_topk_softmax()->set_file(TrainedOnce().folder + "/gate.safetensors");
  const auto gate = MakeGate(config, {"right", "left"}, 2);
  ASSERT_TRUE(gate.ok()) << gate.status();
  std::vector<float> logits(2);
  CounterRandom random(1, 1);
  (*gate)->Score({0.8f, 0.5f}, {}, random, absl::MakeSpan(logits));
  EXPECT_GT(logits[0], logits[1]);
  (*gate)->Score({-0.8f, 0.5f}, {}, random, absl::MakeSpan(logits));
  EXPECT_LT(logits[0], logits[1]);
}

TEST(Trainer, WritesAQualityModelThatTheRouterLoads) {
  config::v1::Pool pool;
  pool.add_experts()->set_name("right");
  pool.add_experts()->set_name("left");
  pool.set_quality_file(TrainedOnce().folder + "/quality.safetensors");
  const auto model = MakeQualityModel(pool, 2);
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<float> quality(2);
  (*model)->Predict(std::vector<float>{0.9f, 0.5f}, absl::MakeSpan(quality));
  EXPECT_GT(quality[0], 0.85);
  EXPECT_LT(quality[1], 0.65);
}

TEST(Trainer, WritesWhereItCameFrom) {
  const auto file = Safetensors::Open(TrainedOnce().folder + "/gate.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  const auto& metadata = (*file)->metadata();
  EXPECT_EQ(metadata.at("experts"), R"(["left","right"])");
  EXPECT_EQ(metadata.at("date"), "2026-11-24");
  EXPECT_EQ(metadata.at("seed"), "1");
  EXPECT_EQ(metadata.at("dimension"), "2");
  EXPECT_EQ(metadata.at("train_rows"), absl::StrCat(TrainedOnce().report.train_rows));
}

TEST(Trainer, FitsTheCascadeToConfidence) {
  const auto model =
      CascadeQuality::Open(TrainedOnce().folder + "/cascade.safetensors", {"left", "right"});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE((*model)->CanStand(0));
  EXPECT_FALSE((*model)->CanStand(1));
  std::vector<float> sure(2), unsure(2);
  const AnswerConfidence high{0.95f, 0.05f}, low{0.5f, 0.5f};
  (*model)->Predict(0, absl::MakeConstSpan(&high, 1), absl::MakeSpan(sure));
  (*model)->Predict(0, absl::MakeConstSpan(&low, 1), absl::MakeSpan(unsure));
  // Two confidences only, so both are fitted exactly: within the sampling error of 600 rows.
  EXPECT_NEAR(sure[0], 0.95, 0.04);
  EXPECT_NEAR(unsure[0], 0.5, 0.06);
  EXPECT_NEAR(sure[1], 0.5, 0.06);
  EXPECT_NEAR(unsure[1], 0.95, 0.04);
}

TEST(Trainer, StatesNoRiskUnlessAsked) {
  EXPECT_FALSE(TrainedOnce().report.cascade_risk.has_value());
  const std::string path = TrainedOnce().folder + "/cascade.safetensors";
  const auto model = CascadeQuality::Open(path, {"left", "right"});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_FALSE((*model)->stages().has_value());
  const auto file = Safetensors::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  std::vector<std::string> tensors;
  for (const auto& [name, unused] : (*file)->entries()) tensors.push_back(name);
  EXPECT_THAT(tensors, ElementsAre("can_stand", "ece", "fixed_from", "fixed_next", "weight"));
  EXPECT_EQ((*file)->metadata().count("stages"), 0u);
}

// small is right with the square of its confidence, middle with its own, which is higher, large
// with .9 at a hundred times the joules of small.
std::string Staged(const std::string& name, uint64_t seed, int rows) {
  const std::string path = ProcessTempDir() + name;
  std::ofstream out(path);
  for (int i = 0; i < rows; ++i) {
    CounterRandom random(seed, static_cast<uint64_t>(i));
    const double small = 0.5 + 0.49 * random.Uniform(), middle = 0.6 + 0.39 * random.Uniform();
    const auto draw = [&](double p) { return random.Uniform() < p ? 1 : 0; };
    const int small_right = draw(small * small), middle_right = draw(middle);
    out << absl::StrCat(R"({"id": )", i, R"(, "features": [0], "experts": {"small": {"quality": )",
                        small_right, R"(, "joules": 1, "confidence": [)", small, ", ", 1 - small,
                        R"(]}, "middle": {"quality": )", middle_right,
                        R"(, "joules": 10, "confidence": [)", middle, ", ", 1 - middle,
                        R"(]}, "large": {"quality": )", draw(0.9), R"(, "joules": 100}}})", "\n");
  }
  return path;
}

// What the router gives up against the last stage alone with the file of `folder`, on every row of
// `table`, and the share of rows at which it need not ask it.
std::pair<double, double> ServedRisk(const std::string& folder, const OutcomeTable& table) {
  const auto model = CascadeQuality::Open(folder + "/cascade.safetensors", table.experts);
  EXPECT_TRUE(model.ok()) << model.status();
  if (!model.ok() || !(*model)->stages()) return {1, 0};
  const CascadeStages& stages = *(*model)->stages();
  const size_t last = stages.experts.back();
  double lost = 0, accepted = 0;
  for (size_t row = 0; row < table.rows(); ++row) {
    for (const size_t standing : stages.experts) {
      if (standing == last) break;
      std::vector<float> quality(table.experts.size());
      const AnswerConfidence& confidence = table.confidence[table.At(standing, row)];
      (*model)->Predict(standing, absl::MakeConstSpan(&confidence, 1), absl::MakeSpan(quality));
      if (!stages.MayStand(standing, quality)) continue;
      accepted += 1;
      lost +=
          table.quality[table.At(standing, row)] == 0 && table.quality[table.At(last, row)] == 1;
      break;
    }
  }
  const double rows = static_cast<double>(table.rows());
  return {lost / rows, accepted / rows};
}

TEST(Trainer, TheStatedRiskOfACascadeHoldsOnFreshRows) {
  OutcomeTableSource source;
  source.file = Staged("fresh.jsonl", 999, 6000);
  const auto fresh = ReadOutcomeTable(source);
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  constexpr int kTables = 12;
  constexpr double kRisk = 0.05;
  double sum = 0, squares = 0, accepted = 0;
  for (int i = 0; i < kTables; ++i) {
    TrainOptions options;
    options.outcomes_file =
        Staged(absl::StrCat("staged", i, ".jsonl"), static_cast<uint64_t>(i), 700);
    options.output_folder = ProcessTempDir() + absl::StrCat("staged", i);
    options.heldout_share = 0.4;
    options.cascade = {"small", "middle", "large"};
    options.risk = kRisk;
    const auto report = Train(options);
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE(report->cascade_risk.has_value());
    EXPECT_EQ(report->cascade_risk->rows, report->heldout_rows);
    EXPECT_LE(report->cascade_risk->after.risk, kRisk);
    const auto [risk, share] = ServedRisk(options.output_folder, *fresh);
    sum += risk;
    squares += risk * risk;
    accepted += share / kTables;
  }
  const double mean = sum / kTables;
  const double error = std::sqrt((squares / kTables - mean * mean) / (kTables - 1));
  EXPECT_LE(mean, kRisk + 3 * error);
  EXPECT_GT(mean, kRisk / 2);  // and what it may spend, it spends
  EXPECT_GT(accepted, 0.3);
}

TEST(Trainer, ReportsTheRiskOfTheCascade) {
  TrainOptions options;
  options.outcomes_file = Staged("stated.jsonl", 3, 600);
  options.output_folder = ProcessTempDir() + "stated";
  options.cascade = {"small", "large"};
  options.risk = 0.04;
  const auto report = Train(options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(FormatTrainReport(*report), HasSubstr("cascade small -> large at risk 0.04"));
  const auto file = Safetensors::Open(options.output_folder + "/cascade.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->metadata().at("stages"), "small,large");
  EXPECT_EQ((*file)->metadata().at("risk"), "0.04");
  EXPECT_THAT((*file)->Floats("least_lead", {1}).value_or(std::vector<float>()),
              ElementsAre(static_cast<float>(report->cascade_risk->after.lead)));
  // The rest of the files is what it is without a stated risk.
  options.output_folder = ProcessTempDir() + "unstated";
  options.cascade.clear();
  options.risk.reset();
  ASSERT_TRUE(Train(options).ok());
  const auto without = Safetensors::Open(options.output_folder + "/cascade.safetensors");
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_EQ((*file)->Find("weight")->data, (*without)->Find("weight")->data);
}

TEST(Trainer, WarnsWhereTheRowsAreTooFewForTheRisk) {
  TrainOptions options;
  options.outcomes_file = Staged("few.jsonl", 4, 200);
  options.cascade = {"small", "large"};
  options.risk = 0.001;
  const auto report = Train(options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->cascade_risk->always_escalates);
  EXPECT_THAT(report->warnings,
              testing::Contains(HasSubstr("the cascade always goes on to \"large\"")));
}

TEST(Trainer, GivesTheSameFilesTwice) {
  const std::string outcomes = Synthetic("twice.jsonl", 300);
  const auto bytes = [&](const std::string& folder) {
    TrainOptions options;
    options.outcomes_file = outcomes;
    options.output_folder = ProcessTempDir() + folder;
    const auto report = Train(options);
    EXPECT_TRUE(report.ok()) << report.status();
    std::string all;
    for (const char* name : {"gate", "quality", "cascade"}) {
      std::ifstream in(absl::StrCat(options.output_folder, "/", name, ".safetensors"),
                       std::ios::binary);
      EXPECT_TRUE(in.good()) << name;
      all.append((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    }
    return all;
  };
  EXPECT_EQ(bytes("one"), bytes("two"));
}

TEST(Trainer, TeachesThePricedGateTheCheapestRightExpert) {
  TrainOptions options;
  options.outcomes_file = Synthetic("priced.jsonl");
  options.price = 0.02;
  const auto report = Train(options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->cost_unit, "joules");
  EXPECT_LT(report->policies.front().mean_cost, 2);  // `large` would cost 10
  EXPECT_GT(report->policies.front().quality, 0.88);
  EXPECT_EQ(report->budgets.size(), 8u);
}

TEST(Trainer, ReportsTheCascadeByShare) {
  TrainOptions options;
  options.outcomes_file = Synthetic("cascade.jsonl");
  const auto report = Train(options);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_FALSE(report->cascades.empty());
  const CascadePairReport& pair = report->cascades.front();
  EXPECT_EQ(pair.first, "left");
  EXPECT_EQ(pair.other, "large");
  for (const EscalationPoint& point : pair.points) {
    if (point.share != 0.5) continue;
    EXPECT_GT(point.quality, point.random_quality + 0.05);
  }
}

TEST(Trainer, WarnsOfExpertsThatAnswerAlike) {
  const std::string path = ProcessTempDir() + "alike.jsonl";
  std::ofstream out(path);
  for (int i = 0; i < 100; ++i) {
    out << absl::StrCat(R"({"id": )", i, R"(, "features": [)", i % 7,
                        R"(], "experts": {"a": {"quality": )", i % 2, R"(, "answer": )", i % 3,
                        R"(}, "b": {"quality": )", i % 2, R"(, "answer": )", i % 3,
                        R"(}, "c": {"quality": 1, "answer": "z"}}})", "\n");
  }
  out.close();
  TrainOptions options;
  options.outcomes_file = path;
  const auto report = Train(options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->minimum_k, 2u);
  EXPECT_THAT(report->warnings, testing::Contains(HasSubstr("\"a\" and \"b\" answer alike")));
  EXPECT_THAT(report->warnings,
              testing::Contains(HasSubstr("\"c\" is right on every training row")));
}

TEST(Trainer, WorksWithoutFeatures) {
  TrainOptions options;
  options.outcomes_file = Synthetic("none.jsonl", 400);
  options.features.mutable_none();
  options.output_folder = ProcessTempDir() + "none";
  const auto report = Train(options);
  ASSERT_TRUE(report.ok()) << report.status();
  config::v1::Gate config;
  config.mutable_topk_softmax()->set_file(options.output_folder + "/gate.safetensors");
  const auto gate = MakeGate(config, {"left", "large"}, 0);
  ASSERT_TRUE(gate.ok()) << gate.status();
  std::vector<float> logits(2);
  CounterRandom random(1, 1);
  (*gate)->Score({}, {}, random, absl::MakeSpan(logits));
  EXPECT_GT(logits[1], logits[0]);
}

TEST(Trainer, RefusesOptionsOutOfRange) {
  TrainOptions options;
  options.outcomes_file = Synthetic("options.jsonl", 30);
  options.heldout_share = 0;
  EXPECT_THAT(std::string(Train(options).status().message()), HasSubstr("heldout_share is 0"));
  options.heldout_share = 0.2;
  options.price = -1;
  EXPECT_THAT(std::string(Train(options).status().message()), HasSubstr("price is -1"));
  options.price = 0;
  options.experts = {"left", "left"};
  EXPECT_THAT(std::string(Train(options).status().message()), HasSubstr("stands twice"));
  options.experts = {"left", "middle"};
  EXPECT_THAT(std::string(Train(options).status().message()),
              HasSubstr("tells no quality of expert \"middle\""));
  options.experts = {};
  options.risk = 0.02;
  EXPECT_THAT(std::string(Train(options).status().message()),
              HasSubstr("risk is set, but cascade is not"));
  options.cascade = {"left", "large"};
  options.risk.reset();
  EXPECT_THAT(std::string(Train(options).status().message()),
              HasSubstr("cascade is set, but risk is not"));
  options.risk = 1.5;
  EXPECT_THAT(std::string(Train(options).status().message()), HasSubstr("risk is 1.5"));
}

TEST(Trainer, RefusesATableThatIsTooSmall) {
  TrainOptions options;
  options.outcomes_file = Synthetic("small.jsonl", 10);
  EXPECT_THAT(std::string(Train(options).status().message()), HasSubstr("wanted at least 20"));
}

TEST(SplitTable, KeepsRowsOfOneIdTogether) {
  OutcomeTable table;
  for (int i = 0; i < 400; ++i) table.ids.push_back(absl::StrCat(i / 2));
  const TableSplit split = SplitTable(table, 0.3, 5, 9);
  EXPECT_EQ(split.train.size() % 2, 0u);
  for (size_t i = 0; i < split.train.size(); i += 2) {
    EXPECT_EQ(table.ids[split.train[i]], table.ids[split.train[i + 1]]);
    EXPECT_EQ(split.fold[i], split.fold[i + 1]);
  }
}

TEST(SplitTable, DependsOnTheSeed) {
  OutcomeTable table;
  for (int i = 0; i < 100; ++i) table.ids.push_back(absl::StrCat(i));
  EXPECT_NE(SplitTable(table, 0.3, 5, 1).heldout, SplitTable(table, 0.3, 5, 2).heldout);
}

}  // namespace
}  // namespace penstock::router
