#include "bench/decision/decision_case.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/status_macros.h"
#include "common/tensors/safetensors.h"
#include "nlohmann/json.hpp"

namespace penstock::router {
namespace {

constexpr char kPool[] = "pool";
constexpr char kTenant[] = "tenant";
constexpr char kInput[] = "x";
constexpr size_t kReplicas = 2;

// Healthy, and never called: a decision ends before its dispatch.
class StillTarget final : public InferTarget {
 public:
  std::shared_ptr<OutgoingCall> ModelInfer(Bytes, CallOptions,
                                           absl::AnyInvocable<void(InferReply)> done) override {
    done({absl::UnimplementedError("not called"), {}, {}});
    return nullptr;
  }
  bool healthy() const override { return true; }
  absl::string_view address() const override { return "still"; }
};

std::vector<float> Normal(size_t count, double scale, CounterRandom& random) {
  std::vector<float> values(count);
  for (float& value : values) {
    // Box-Muller; 1 - u is in (0, 1].
    const double radius = std::sqrt(-2 * std::log(1 - random.Uniform()));
    value = static_cast<float>(scale * radius * std::cos(2 * M_PI * random.Uniform()));
  }
  return values;
}

// 10 mJ to 1 J, dearer ones slower.
double JoulesOf(size_t expert, size_t experts) {
  const double place = static_cast<double>(expert) / static_cast<double>(experts - 1);
  return 0.01 * std::pow(100.0, place);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DecisionCase>> DecisionCase::Create(size_t experts, size_t k,
                                                                   const Clock& clock) {
  std::unique_ptr<DecisionCase> result(new DecisionCase(k, clock));
  PENSTOCK_RETURN_IF_ERROR(result->MakePool(experts));
  PENSTOCK_RETURN_IF_ERROR(result->SetBudgets());
  result->MakeRequests();
  CounterRandom random(1, 0);
  for (const RouteRequest& request : result->requests_) {
    PENSTOCK_ASSIGN_OR_RETURN(ScoredExperts scored, ScoreExperts(request, random, clock.Now()));
    result->scored_.push_back(std::move(scored));
  }
  return result;
}

absl::Status DecisionCase::MakePool(size_t experts) {
  CounterRandom random(7, experts);
  const auto rows = static_cast<int64_t>(experts);
  const auto columns = static_cast<int64_t>(kFeatures);
  const double scale = 1 / std::sqrt(static_cast<double>(kFeatures));
  quality_weight_ = Normal(experts * kFeatures, scale, random);
  for (size_t i = 0; i < experts; ++i) {
    // From 0.5 for the cheapest to 0.88 for the dearest.
    quality_bias_.push_back(2.0f * static_cast<float>(i) / static_cast<float>(experts - 1));
  }
  auto pool = std::make_shared<Pool>();
  config::v1::Pool& config = pool->config;
  config.set_name(kPool);
  std::vector<CostStart> starts;
  for (size_t i = 0; i < experts; ++i) {
    const std::string name = absl::StrCat("expert_", i);
    config.add_experts()->set_name(name);
    pool->expert_names.push_back(name);
    PoolExpert expert;
    expert.name = expert.model = name;
    expert.admitted = true;
    for (size_t replica = 0; replica < kReplicas; ++replica) {
      targets_.push_back(std::make_unique<StillTarget>());
      expert.replicas.push_back(std::make_shared<Replica>(*targets_.back()));
    }
    pool->experts.push_back(std::move(expert));
    const double joules = JoulesOf(i, experts);
    starts.push_back({0.0005, 0.1 * joules, 0.001, joules});
  }

  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / absl::StrCat("penstock-decision-", getpid());
  std::filesystem::create_directories(folder);
  const std::map<std::string, std::string> metadata = {
      {"experts", nlohmann::json(pool->expert_names).dump()}};
  const std::string gate = folder / "gate.safetensors";
  const std::string quality = folder / "quality.safetensors";
  PENSTOCK_RETURN_IF_ERROR(WriteSafetensors(
      gate, {{"weight", {rows, columns}, Normal(experts * kFeatures, scale, random)}}, metadata));
  PENSTOCK_RETURN_IF_ERROR(WriteSafetensors(quality,
                                            {{"weight", {rows, columns}, quality_weight_},
                                             {"bias", {rows}, quality_bias_},
                                             {"mean", {rows}, std::vector<float>(experts, 0.5f)}},
                                            metadata));
  config.mutable_features()->mutable_tensor_pooling()->set_input(kInput);
  config.mutable_gate()->mutable_topk_softmax()->set_file(gate);
  config.mutable_gate()->mutable_topk_softmax()->set_k(static_cast<uint32_t>(k_));
  config.set_quality_file(quality);

  PoolContract contract;
  contract.inputs = {{kInput, "FP32", {columns}}};
  contract.outputs = {{"y", "FP32", {1}}};
  contract.batched = true;
  auto rooms = MakePoolRooms(config, std::move(contract));
  std::filesystem::remove_all(folder);
  PENSTOCK_RETURN_IF_ERROR(rooms.status());
  pool->rooms = *std::move(rooms);
  pool->record =
      std::make_shared<PoolRecord>(experts, CostModel::Options(), std::move(starts));
  pool_ = std::move(pool);
  return absl::OkStatus();
}

absl::Status DecisionCase::SetBudgets() {
  config::v1::Budget budget;
  budget.set_resource(config::v1::Budget::JOULES);
  budget.set_per(config::v1::Budget::REQUEST);
  budget.set_amount(0.1);
  PENSTOCK_RETURN_IF_ERROR(pacer_.SetBudget(kPool, budget));
  budget.set_per(config::v1::Budget::DAY);
  budget.set_hard(true);
  budget.set_amount(1e9);
  PENSTOCK_RETURN_IF_ERROR(pacer_.SetBudget("", budget));
  budget.set_tenant(kTenant);
  return pacer_.SetBudget("", budget);
}

void DecisionCase::MakeRequests() {
  for (size_t i = 0; i < kRequests; ++i) {
    CounterRandom random(11, i);
    RouteRequest request;
    request.pool = pool_;
    request.caller.tenant = kTenant;
    request.inputs.push_back(FloatTensor(kInput, {1, static_cast<int64_t>(kFeatures)},
                                         Normal(kFeatures, 1, random)));
    // Both bind: the dearest experts are too slow, or over the cap.
    request.latency_budget_s = 0.2;
    request.energy_cap_j = 0.8;
    request.arrived = clock_.Now();
    request.deadline = request.call_deadline = absl::InfiniteFuture();
    requests_.push_back(std::move(request));
  }
}

}  // namespace penstock::router
