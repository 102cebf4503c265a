#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/yaml_config.h"
#include "common/net/caller_rights.h"
#include "common/net/orca.h"
#include "common/tensors/infer_message.h"
#include "common/tensors/safetensors.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/dispatch/request_pipeline.h"
#include "router_service/pacing/memory_window_ledger.h"
#include "router_service/pools/pool_catalogue.h"
#include "router_service/recording/decision_log.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_incoming_call.h"
#include "tests/support/fake_infer_target.h"
#include "tests/support/fake_timers.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {

// A replica under the test's hand: its target, and what it says of its model.
class FakeReplica final : public ReplicaConnection {
 public:
  explicit FakeReplica(std::string address) : target_(std::move(address)) {}

  FakeInferTarget& target() override { return target_; }
  void Describe(const std::string& model, const std::string&, absl::Duration,
                absl::AnyInvocable<void(absl::StatusOr<ReplicaFacts>)> done) override {
    asked_models.push_back(model);
    done(facts);
  }
  void Probe(const std::string&, const std::string&, absl::Duration,
             absl::AnyInvocable<void(absl::Status)> done) override {
    ++probes;
    done(probed);
  }
  void WatchLoad(std::weak_ptr<const void>, std::function<void(const v1::Load&)> sink) override {
    load_sinks.push_back(std::move(sink));
  }

  absl::StatusOr<ReplicaFacts> facts = absl::UnavailableError("not there");
  std::vector<std::string> asked_models;
  absl::Status probed;
  int probes = 0;
  std::vector<std::function<void(const v1::Load&)>> load_sinks;

 private:
  FakeInferTarget target_;
};

class FakeConnector final : public ReplicaConnector {
 public:
  absl::StatusOr<std::shared_ptr<ReplicaConnection>> Connect(
      const config::v1::Endpoint& endpoint) override {
    return Of(endpoint.address());
  }
  absl::StatusOr<std::shared_ptr<ReplicaConnection>> ConnectTo(
      const config::v1::Endpoint&, const std::string& address) override {
    return Of(address);
  }
  std::shared_ptr<FakeReplica> Of(const std::string& address) {
    std::shared_ptr<FakeReplica>& replica = replicas_[address];
    if (replica == nullptr) replica = std::make_shared<FakeReplica>(address);
    return replica;
  }

 private:
  std::map<std::string, std::shared_ptr<FakeReplica>> replicas_;
};

// Batches are assigned by whoever closes their window.
class InlineBatchWorker final : public BatchWorker {
 public:
  void Run(absl::AnyInvocable<void()> work) override { work(); }
};

class CountingObserver final : public RouteObserver {
 public:
  void RequestFinished(const RouteEvent& event) override {
    MutexLock lock(mutex_);
    codes.push_back(event.code);
    hedges_refused += event.hedges_refused;
  }
  std::vector<absl::StatusCode> codes;
  uint64_t hedges_refused = 0;

 private:
  Mutex mutex_;
};

// Input x [rows, 4] FP32; outputs p [rows, 2] FP32 and label [rows, 1] BYTES.
inline ReplicaFacts ModelFacts(double seconds_per_row, double joules_per_row, int max_rows = 64) {
  ReplicaFacts facts;
  const auto add = [](auto* tensor, const char* name, const char* type, int64_t size) {
    tensor->set_name(name);
    tensor->set_datatype(type);
    tensor->add_shape(-1);
    tensor->add_shape(size);
  };
  add(facts.metadata.add_inputs(), "x", "FP32", 4);
  add(facts.metadata.add_outputs(), "p", "FP32", 2);
  add(facts.metadata.add_outputs(), "label", "BYTES", 1);
  facts.config.emplace().set_max_batch_size(max_rows);
  facts.description.emplace().set_seconds_per_row(seconds_per_row);
  facts.description->set_joules_per_row(joules_per_row);
  return facts;
}

// A request of `rows` rows, row r being (r, r, r, r).
inline InferRequest MakeRequest(int64_t rows = 1, std::vector<OutParameter> parameters = {}) {
  InferRequest request;
  request.model_name = "pool";
  request.id = "id-7";
  request.parameters = std::move(parameters);
  std::vector<float> values;
  for (int64_t row = 0; row < rows; ++row) {
    values.insert(values.end(), 4, static_cast<float>(row));
  }
  request.inputs.push_back(FloatTensor("x", {rows, 4}, values));
  return request;
}

// p = (first, 1 - first) for every row, label "yes" or "no"; joules in the trailer where given.
inline InferReply MakeReply(int64_t rows, float first, std::optional<double> joules,
                            double method = 1) {
  InferResponse response;
  response.model_name = "model";
  response.id = "id-7";
  std::vector<float> p;
  std::vector<std::string> labels;
  for (int64_t row = 0; row < rows; ++row) {
    p.push_back(first);
    p.push_back(1 - first);
    labels.push_back(first > 0.5f ? "yes" : "no");
  }
  response.outputs.push_back(FloatTensor("p", {rows, 2}, p));
  response.outputs.push_back(StringTensor("label", {rows, 1}, labels));
  InferReply reply;
  reply.body = EncodeInferResponse(response);
  if (joules) {
    xds::data::orca::v3::OrcaLoadReport report;
    (*report.mutable_request_cost())["joules"] = *joules;
    (*report.mutable_named_metrics())["energy_method"] = method;
    reply.trailers.emplace_back(std::string(kOrcaKeyOfOurs), report.SerializeAsString());
  }
  return reply;
}

// A router without sockets: two experts, `small` (0.1 J, 1 ms a row) and `big` (1 J, 10 ms a row),
// at "small:1" and "big:1", unless the test says otherwise.
class RouterFixture : public ::testing::Test {
 protected:
  static constexpr char kTwoExperts[] = R"(
pools:
- name: pool
  experts:
  - {name: small, quality: 0.8, replicas: [{address: "small:1"}]}
  - {name: big, quality: 0.95, replicas: [{address: "big:1"}]}
)";

  void SetUp() override {
    Replica("small:1").facts = ModelFacts(0.001, 0.1);
    Replica("small:2").facts = ModelFacts(0.001, 0.1);
    Replica("big:1").facts = ModelFacts(0.010, 1.0);
    Replica("big:2").facts = ModelFacts(0.010, 1.0);
  }
  void TearDown() override {
    if (catalogue_ != nullptr) catalogue_->Stop();
  }

  void Build(const std::string& yaml) {
    ASSERT_THAT(ReadYaml(yaml, config_), IsOk());
    auto catalogue = PoolCatalogue::Create(config_, false, timers_, clock_, connector_);
    ASSERT_THAT(catalogue.status(), IsOk());
    catalogue_ = *std::move(catalogue);
    BudgetPacer::Options options;
    options.learning = config_.learning() == config::v1::Router::ON;
    auto log = DecisionLog::Create(config_.decision_log(), 0xabcd1234, clock_);
    ASSERT_THAT(log.status(), IsOk());
    log_ = *std::move(log);
    pacer_ = std::make_unique<BudgetPacer>(clock_, *windows_, options, log_->journal());
    for (const config::v1::Pool& pool : config_.pools()) {
      for (const config::v1::Budget& budget : pool.budgets()) {
        ASSERT_THAT(pacer_->SetBudget(pool.name(), budget), IsOk());
      }
    }
    for (const config::v1::Budget& budget : config_.budgets()) {
      ASSERT_THAT(pacer_->SetBudget("", budget), IsOk());
    }
    pipeline_ = std::make_unique<RequestPipeline>(
        *catalogue_,
        RouteRooms{clock_, timers_, *pacer_, *log_, observer_, config_.seed(), tracer_.get()},
        make_batch_worker_);
    catalogue_->Start();
  }

  FakeReplica& Replica(const std::string& address) { return *connector_.Of(address); }
  FakeInferTarget& Target(const std::string& address) { return Replica(address).target(); }

  std::shared_ptr<FakeIncomingCall> Send(const InferRequest& request,
                                         absl::Duration deadline = absl::InfiniteDuration(),
                                         Metadata metadata = {}, bool trusted = true) {
    auto call = std::make_shared<FakeIncomingCall>(EncodeInferRequest(request),
                                                   clock_.Now() + deadline, std::move(metadata),
                                                   Caller{.trusted = trusted});
    pipeline_->ModelInfer(call);
    return call;
  }
  InferReply Ask(const InferRequest& request, Metadata metadata = {}) {
    return Send(request, absl::InfiniteDuration(), std::move(metadata))->WaitForReply();
  }

  static Metadata Rights(CallerRights rights, const std::string& tenant = "acme") {
    return {{kTenantMetadata, tenant}, {kRightsMetadata, rights.ToMetadata()}};
  }
  static Metadata ForcedRights() { return Rights({.forced_experts = true}); }

  static ParameterValue Value(const InferReply& reply, const std::string& name) {
    const auto header = ScanInferResponse(reply.body);
    if (!header.ok()) return {};
    for (const Parameter& parameter : header->parameters) {
      if (parameter.name == name) return parameter.value;
    }
    return {};
  }
  static std::string Text(const InferReply& reply, const std::string& name) {
    const ParameterValue value = Value(reply, name);
    const auto* text = std::get_if<std::string>(&value);
    return text == nullptr ? "(none)" : *text;
  }
  static double Number(const InferReply& reply, const std::string& name) {
    const ParameterValue value = Value(reply, name);
    const auto* number = std::get_if<double>(&value);
    return number == nullptr ? -1 : *number;
  }
  static std::vector<float> Floats(const InferReply& reply, const std::string& output) {
    const auto header = ScanInferResponse(reply.body);
    if (!header.ok()) return {};
    const auto outputs = DecodeOutputs(reply.body, *header);
    if (!outputs.ok()) return {};
    for (const Tensor& tensor : *outputs) {
      if (tensor.name == output) return ToFloats(tensor).value_or(std::vector<float>());
    }
    return {};
  }
  v1::Decision Last() const {
    const auto recent = log_->Recent(1, "");
    return recent.empty() ? v1::Decision() : *recent[0];
  }

  // Standing `small`: p_stay is what it says itself. Asked `big`: right with 0.95.
  std::string CascadeFile() {
    std::vector<float> weight(2 * 2 * 3, 0);
    weight[1] = 1;          // (small, small): b_1 = 1, sigma(logit p) = p
    weight[3] = 2.944439f;  // (small, big): a = logit 0.95
    const std::string path = dir_.File("cascade.safetensors");
    EXPECT_THAT(WriteSafetensors(path, {{"weight", {2, 2, 3}, weight}, {"can_stand", {2}, {1, 1}}},
                                 {{"experts", R"(["small","big"])"}}),
                IsOk());
    return path;
  }

  TempDir dir_;
  FakeClock clock_;
  FakeTimers timers_{clock_};
  FakeConnector connector_;
  config::v1::Router config_;
  MemoryWindowLedger ledger_;
  WindowLedger* windows_ = &ledger_;  // of the budgets
  RequestPipeline::MakeBatchWorker make_batch_worker_ = [] {
    return std::make_unique<InlineBatchWorker>();
  };
  CountingObserver observer_;
  std::shared_ptr<Tracer> tracer_;  // null: no request is traced
  std::unique_ptr<DecisionLog> log_;
  std::unique_ptr<BudgetPacer> pacer_;
  std::shared_ptr<PoolCatalogue> catalogue_;
  std::unique_ptr<RequestPipeline> pipeline_;
};

}  // namespace penstock::router
