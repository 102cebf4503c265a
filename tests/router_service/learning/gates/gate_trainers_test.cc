#include <cmath>
#include <fstream>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router_service/gating/gate.h"
#include "router_service/gating/top_k.h"
#include "router_service/gating/weights/comet_weights.h"
#include "router_service/learning/gates/gate_fitter.h"
#include "router_service/learning/gates/gate_trainer.h"
#include "router_service/learning/trainer.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr const char* kExperts[] = {"north", "east", "south"};

// A point of the plane from eight sides, of scales and offsets of their own, and noise.
std::vector<float> Features(double angle, double radius, double noise) {
  std::vector<float> z;
  for (int side = 0; side < 8; ++side) {
    z.push_back(static_cast<float>(side + (side + 1) * radius * std::cos(angle - M_PI * side / 4)));
  }
  z.push_back(static_cast<float>(noise));
  return z;
}

constexpr double kThird = 2 * M_PI / 3;

// Each expert is right in its own third of the plane (95 %) and elsewhere 20 % of the time.
// Choosing by the third gives .95, choosing at random or always one .45.
std::string Thirds(const std::string& name, int rows) {
  const std::string path = ProcessTempDir() + name;
  std::ofstream out(path);
  for (int i = 0; i < rows; ++i) {
    CounterRandom random(41, static_cast<uint64_t>(i));
    const int third = static_cast<int>(random.Below(3));
    const double angle = kThird * (third + 0.1 + 0.8 * random.Uniform());
    const std::vector<float> z = Features(angle, 0.5 + random.Uniform(), random.Uniform());
    out << absl::StrCat(R"({"id": )", i, R"(, "features": [)", absl::StrJoin(z, ", "),
                        R"(], "experts": {)");
    for (int e = 0; e < 3; ++e) {
      out << absl::StrCat(e > 0 ? ", \"" : "\"", kExperts[e], R"(": {"quality": )",
                          random.Uniform() < (e == third ? 0.95 : 0.2) ? 1 : 0, R"(, "joules": )",
                          e + 1, "}");
    }
    out << "}}\n";
  }
  return path;
}

TrainOptions Options(const std::string& gate) {
  static const std::string& table = *new std::string(Thirds("thirds.jsonl", 900));
  TrainOptions options;
  options.outcomes_file = table;
  options.output_folder = ProcessTempDir() + gate;
  options.gate = gate;
  return options;
}

// Every trained gate's report, so that each is trained once.
const TrainReport& Trained(const std::string& gate) {
  static std::map<std::string, TrainReport>& reports = *new std::map<std::string, TrainReport>;
  const auto found = reports.find(gate);
  if (found != reports.end()) return found->second;
  const auto report = Train(Options(gate));
  EXPECT_TRUE(report.ok()) << gate << ": " << report.status();
  return reports[gate] = report.ok() ? *report : TrainReport();
}

class GateTrainersTest : public testing::TestWithParam<const char*> {};

// 180 rows of .95 and .45: 1.6 and 3.7 points of standard error.
TEST_P(GateTrainersTest, LearnsWhoIsRightWhere) {
  const TrainReport& report = Trained(GetParam());
  ASSERT_TRUE(report.gate.has_value());
  const GateReport& gate = *report.gate;
  EXPECT_EQ(gate.name, GetParam());
  EXPECT_GT(gate.quality, 0.88);
  EXPECT_GT(gate.minus_random.low, 0.3);
  EXPECT_LE(gate.minus_random.low, gate.minus_random.difference);
  EXPECT_GE(gate.minus_random.high, gate.minus_random.difference);
  EXPECT_LE(gate.minus_topk_softmax.low, gate.minus_topk_softmax.difference);
  EXPECT_GE(gate.minus_topk_softmax.high, gate.minus_topk_softmax.difference);
  EXPECT_NEAR(gate.quality - report.policies.front().quality, gate.minus_topk_softmax.difference,
              1e-9);
  EXPECT_THAT(FormatTrainReport(report), HasSubstr(absl::StrCat("\n", GetParam(), ": quality 0.")));
}

TEST_P(GateTrainersTest, WritesAFileThatTheRouterLoadsBesideTheDefault) {
  const TrainReport& report = Trained(GetParam());
  const std::string folder = Options(GetParam()).output_folder;
  const std::string path = absl::StrCat(folder, "/", GetParam(), ".safetensors");
  EXPECT_THAT(report.files, Contains(path));
  EXPECT_THAT(report.files, Contains(absl::StrCat(folder, "/gate.safetensors")));
  const auto gate =
      MakeGate(FindGateTrainer(GetParam())->configure(path, {}), {"south", "north"}, 9);
  ASSERT_TRUE(gate.ok()) << gate.status();
  std::vector<float> logits(2);
  CounterRandom random(1, 1);
  // The middle of the north's third, then of the south's.
  (*gate)->Score(Features(0.5 * kThird, 1, 0.5), {}, random, absl::MakeSpan(logits));
  EXPECT_GT(logits[1], logits[0]);
  (*gate)->Score(Features(2.5 * kThird, 1, 0.5), {}, random, absl::MakeSpan(logits));
  EXPECT_GT(logits[0], logits[1]);
}

TEST_P(GateTrainersTest, WritesTheSameFileTwice) {
  const TrainReport& first = Trained(GetParam());
  TrainOptions options = Options(GetParam());
  options.output_folder += "_again";
  const auto second = Train(options);
  ASSERT_TRUE(second.ok()) << second.status();
  const auto bytes = [](const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  EXPECT_EQ(bytes(first.files.back()), bytes(second->files.back()));
  EXPECT_EQ(first.gate->minus_random.low, second->gate->minus_random.low);
}

INSTANTIATE_TEST_SUITE_P(All, GateTrainersTest,
                         testing::Values("dselect_k", "comet", "activation", "dense_to_sparse",
                                         "phatgoose", "mixer"),
                         [](const auto& info) { return std::string(info.param); });

TEST(GateTrainers, AreAllTested) { EXPECT_EQ(GateTrainers().size(), 6u); }

TEST(GateTrainers, SparseOnesAskFewExperts) {
  EXPECT_EQ(Trained("dselect_k").gate->experts_asked, 1);
  EXPECT_EQ(Trained("comet").gate->experts_asked, 1);
}

TEST(GateTrainers, DenseToSparseAsksMoreWhereItIsNotSure) {
  config::v1::Gate config =
      FindGateTrainer("dense_to_sparse")->configure(Trained("dense_to_sparse").files.back(), {});
  config.mutable_dense_to_sparse()->set_theta(0.2);
  const auto gate = MakeGate(config, {"north", "east", "south"}, 9);
  ASSERT_TRUE(gate.ok()) << gate.status();
  const auto asked = [&](double thirds) {
    std::vector<float> logits(3);
    CounterRandom random(1, 1);
    (*gate)->Score(Features(thirds * kThird, 1, 0.5), {}, random, absl::MakeSpan(logits));
    return ChooseTopK(logits, {}, 3)->experts.size();
  };
  EXPECT_EQ(asked(0.5), 1u);
  EXPECT_EQ(asked(1), 2u);
  EXPECT_EQ(asked(1.5), 1u);
  EXPECT_EQ(asked(2), 2u);
}

TEST(GateTrainers, SelectorsAndTreesAreAsManyAsAsked) {
  for (const char* gate : {"dselect_k", "comet"}) {
    TrainOptions options = Options(gate);
    options.output_folder += "_two";
    options.gate_options.k = 2;
    const auto report = Train(options);
    ASSERT_TRUE(report.ok()) << report.status();
    const auto made =
        MakeGate(FindGateTrainer(gate)->configure(report->files.back(), {}), {"north", "east"}, 9);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ((*made)->k(), 2u);
    EXPECT_GT(report->gate->quality, 0.85);
  }
}

TEST(GateTrainers, TheDefaultTrainsNoOther) {
  const auto report = Train(Options("topk_softmax"));
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(report->gate.has_value());
  EXPECT_EQ(report->files.size(), 2u);  // gate and quality; the table tells no confidences
}

TEST(GateTrainers, RefuseWhatCannotBeTrained) {
  const auto refusal = [](const TrainOptions& options) {
    return std::string(Train(options).status().message());
  };
  EXPECT_EQ(refusal(Options("tree")),
            "gate is tree, wanted one of topk_softmax, dselect_k, comet, activation, "
            "dense_to_sparse, phatgoose, mixer");
  TrainOptions options = Options("comet");
  options.gate_options.k = 0;
  EXPECT_EQ(refusal(options), "gate_k is 0, wanted 1 to 16");
  options = Options("comet");
  options.output_folder = "";
  EXPECT_THAT(refusal(options), HasSubstr("output_folder is not set, but gate comet"));
  options = Options("activation");
  options.output_folder += "_identity";
  options.gate_options.activation = config::v1::ActivationGate::IDENTITY;
  EXPECT_THAT(refusal(options), HasSubstr("activation is IDENTITY, wanted TANH"));
  options.gate_options.temperature = 0.5;
  EXPECT_TRUE(Train(options).ok());
  options = Options("phatgoose");
  options.output_folder += "_none";
  options.features.mutable_none();
  EXPECT_THAT(refusal(options), HasSubstr("wanted at least 2 features, got 0"));
  options.gate = "mixer";
  EXPECT_THAT(refusal(options), HasSubstr("wanted at least 1 feature, got 0"));
}

TEST(GateTrainers, TreesNeedNoFeatures) {
  for (const char* gate : {"dselect_k", "comet", "activation", "dense_to_sparse"}) {
    TrainOptions options = Options(gate);
    options.output_folder += "_none";
    options.features.mutable_none();
    EXPECT_TRUE(Train(options).ok()) << gate;
  }
}

// fp32 scores: central differences of step 1e-2 are good to some 1e-4.
TEST(GateFitter, GradientAgreesWithFiniteDifferences) {
  GateTrainingSet set;
  set.experts = {"a", "b", "c"};
  set.dimension = 2;
  CounterRandom random(8, 8);
  constexpr size_t kRows = 24;
  for (size_t row = 0; row < kRows; ++row) {
    set.features.push_back(static_cast<float>(random.Uniform()));
    set.features.push_back(static_cast<float>(10 * random.Uniform()));
    set.fold.push_back(static_cast<int>(row % 3));
  }
  for (size_t at = 0; at < 3 * kRows; ++at) set.targets.push_back(at % 5 == 0 ? 0.5f : 0.25f);
  set.quality = set.targets;
  const GateFitter fitter(set);
  const CometWeights gate({3, 2, 1, 0.1, LeavesInOrder(3, 2)});
  std::vector<double> x = fitter.Start(gate, 0.2, 1), gradient, ignored;
  constexpr auto kPart = GateFitter::Part::kFitted;
  fitter.Loss(kPart, gate, 0.1, {}, x, gradient);
  for (size_t at = 0; at < x.size(); ++at) {
    constexpr double kStep = 1e-2;
    const double value = x[at];
    x[at] = value + kStep;
    const double above = fitter.Loss(kPart, gate, 0.1, {}, x, ignored);
    x[at] = value - kStep;
    const double below = fitter.Loss(kPart, gate, 0.1, {}, x, ignored);
    x[at] = value;
    EXPECT_NEAR(gradient[at], (above - below) / (2 * kStep), 1e-3) << at;
  }
}

}  // namespace
}  // namespace penstock::router
