// One process or four: the same decisions and the same bits.

#include <cstdlib>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "gtest/gtest.h"
#include "tests/integration/client.h"
#include "tests/integration/digits.h"
#include "tests/integration/process.h"

namespace penstock {
namespace {

constexpr char kServer[] =
    R"({grpc: "127.0.0.1:0", metrics: "off", threads: 1, drain: {grace: 0s}})";
constexpr char kExecution[] = "{threads: 1, warm_up_runs: 1}";

// `mixed`: the seed draws two experts for each image, and their answers are mixed.
constexpr char kMixedPool[] = R"(
    - name: mixed
      experts: $0
      gate: {random: {k: 2}}
      combiner: MIXTURE_OF_PROBABILITIES
      combined_output: probabilities
      on_infeasible: DEGRADE
      budgets: [{resource: JOULES, amount: 0.02, per: REQUEST, hard: true}]
)";
// `digits`: the example's cascade under a budget that stops some escalations.
constexpr char kCascadePool[] = R"(
    - name: digits
      experts: $0
      features: {tensor_pooling: {input: image, cells: 49}}
      gate: {topk_softmax: {file: "$1/gate.safetensors", k: 1}}
      quality_file: "$1/quality.safetensors"
      cascade: {first: mlp32, file: "$1/cascade.safetensors", max_escalations: 2}
      combined_output: probabilities
      on_infeasible: DEGRADE
      budgets: [{resource: JOULES, amount: 0.01, per: REQUEST, hard: true}]
)";

struct Model {
  const char* name;
  int service;  // of the two expert services
};
constexpr Model kModels[] = {{"linear", 0}, {"mlp32", 0},     {"mlp_wide", 1},
                             {"moe", 1},    {"vit_small", 0}, {"vit_large", 1}};

// The experts' list of a pool. Without addresses: those of the same process.
std::string Experts(const std::vector<std::string>& addresses) {
  std::string list;
  for (const Model& model : kModels) {
    const std::string replicas =
        addresses.empty()
            ? ""
            : absl::Substitute(", replicas: [{address: \"$0\"}]", addresses[model.service]);
    absl::StrAppend(&list, "\n        - {name: ", model.name, replicas, "}");
  }
  return list;
}

std::string RouterSection(const std::vector<std::string>& addresses) {
  const std::string experts = Experts(addresses);
  std::string pools = absl::Substitute(kMixedPool, experts);
  if (HaveDigitsRouter()) {
    absl::StrAppend(&pools, absl::Substitute(kCascadePool, experts, DigitsFile("router")));
  }
  return absl::StrCat("  seed: 20\n  learning: OFF\n  trust_plaintext: true\n  server: ", kServer,
                      "\n  pools:", pools);
}

std::string ExpertSection(int service) {
  std::string models;
  for (const Model& model : kModels) {
    if (service < 0 || model.service == service) {
      absl::StrAppend(&models, models.empty() ? "" : ", ", model.name);
    }
  }
  return absl::Substitute(
      "  server: $0\n  model_repository: $1\n  models: [$2]\n  execution: $3\n"
      "  metering: {source: MODELLED}\n  trust_plaintext: true\n",
      kServer, DigitsFile("models"), models, kExecution);
}

// A section of the one-process file as a file of its own.
std::string Alone(const std::string& section) {
  std::string file;
  for (const absl::string_view line : absl::StrSplit(section, '\n')) {
    absl::StrAppend(&file, line.size() >= 2 && line.substr(0, 2) == "  " ? line.substr(2) : line,
                    "\n");
  }
  return file;
}

class EqualityTest : public testing::Test {
 protected:
  void StartBoth() {
    whole_ = Process::Start("penstock",
                            absl::StrCat("gateway: {page: {http: \"off\"}, server: ", kServer, "}\nrouter:\n",
                                         RouterSection({}), "expert:\n", ExpertSection(-1)),
                            {"serve"});
    std::vector<std::string> addresses;
    for (const int service : {0, 1}) {
      parts_.push_back(Process::Start("penstock-expert", Alone(ExpertSection(service))));
      ASSERT_NE(parts_.back(), nullptr);
      addresses.push_back(parts_.back()->grpc());
    }
    parts_.push_back(Process::Start("penstock-router", Alone(RouterSection(addresses))));
    ASSERT_NE(parts_.back(), nullptr);
    parts_.push_back(Process::Start("penstock-gateway",
                                    absl::StrCat("server: ", kServer, "\nrouters: [{address: \"",
                                                 parts_.back()->grpc(),
                                                 "\"}]\npage: {http: \"off\"}\n")));
    ASSERT_NE(whole_, nullptr);
    ASSERT_NE(parts_.back(), nullptr);
    one_ = std::make_unique<TestClient>(whole_->grpc());
    four_ = std::make_unique<TestClient>(parts_.back()->grpc());
    ASSERT_TRUE(one_->WaitForExperts());
    ASSERT_TRUE(four_->WaitForExperts());
  }

  // Sends every image to both, one at a time.
  struct Seen {
    std::map<std::string, int> experts;  // who answered how often
    int degraded = 0;
  };
  Seen Compare(const HeldOutImages& images, const std::string& pool) {
    Seen seen;
    for (int64_t i = 0; i < images.count(); ++i) {
      const InferRequest request = images.Request(pool, i, 1);
      const cli::Answer one = one_->Answered(request);
      const cli::Answer four = four_->Answered(request);
      EXPECT_EQ(Difference(Essence(one), Essence(four)), "") << "image " << i;
      EXPECT_EQ(one.Text("penstock_degraded"), four.Text("penstock_degraded")) << "image " << i;
      EXPECT_EQ(one.outputs.size(), 2);
      ++seen.experts[one.Text("penstock_experts")];
      if (!one.Text("penstock_degraded").empty()) ++seen.degraded;
      if (HasFailure()) break;
    }
    return seen;
  }

  std::unique_ptr<Process> whole_;
  std::vector<std::unique_ptr<Process>> parts_;
  std::unique_ptr<TestClient> one_;
  std::unique_ptr<TestClient> four_;
};

TEST_F(EqualityTest, FourProcessesMixDrawnExpertsBitForBitAsOneDoes) {
  PENSTOCK_FETCH_OR_SKIP(images);
  ASSERT_EQ(images.count(), 1500);
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  const Seen seen = Compare(images, "mixed");
  EXPECT_GT(seen.experts.size(), 10) << "hardly anything was drawn";
  EXPECT_GT(seen.degraded, 0) << "the budget never mattered";
}

TEST_F(EqualityTest, FourProcessesEscalateBitForBitAsOneDoes) {
  PENSTOCK_FETCH_OR_SKIP(images);
  if (!HaveDigitsRouter()) GTEST_SKIP() << "examples/digits/router is not trained yet";
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  const Seen seen = Compare(images, "digits");
  EXPECT_GT(seen.experts.size(), 2) << "nothing was escalated";
  EXPECT_GT(seen.degraded, 0) << "the budget never mattered";
}

}  // namespace
}  // namespace penstock
