#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/net/caller_rights.h"
#include "common/tensors/infer_message.h"
#include "gateway/caching/caching_forwarder.h"
#include "gtest/gtest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_infer_target.h"
#include "tests/support/fake_timers.h"

namespace penstock::gateway {

struct CacheEvents final : CacheObserver {
  void Answered(absl::string_view, Source source) override { ++sources[source]; }
  void Ran(absl::string_view, Outcome outcome) override { ++outcomes[outcome]; }
  void Holds(size_t bytes, size_t entries) override {
    held_bytes = bytes;
    held_entries = entries;
  }
  void Evicted(size_t entries) override { evicted += entries; }
  void FlightsOpen(size_t flights) override { open = flights; }
  void StoreAnswered(StoreResult result) override { ++stores[result]; }
  void PoliciesRead(bool) override {}

  std::map<Source, int> sources;
  std::map<Outcome, int> outcomes;
  std::map<StoreResult, int> stores;
  size_t held_bytes = 0, held_entries = 0, evicted = 0, open = 0;
};

struct NoRetries final : Forwarder::Observer {
  void Retried(absl::string_view) override {}
};

// One gateway's cache.
struct CacheParts {
  CacheParts(size_t max_bytes, DigestFunction digest, SharedCache* shared,
             const CachePolicies& policies, Forwarder& forwarder, FakeClock& clock,
             FakeTimers& timers, CacheObserver& observer)
      : answers(max_bytes, {clock, policies, observer, shared}),
        flights({answers, forwarder, clock, timers, observer}),
        caching({policies, answers, flights, forwarder, clock, observer, std::move(digest)}) {}
  AnswerCache answers;
  Flights flights;
  CachingForwarder caching;
};

// A request under way.
struct Asked {
  std::optional<InferReply> reply;
  std::shared_ptr<OutgoingCall> call;
};

struct AskOptions {
  std::string tenant = "team";
  absl::Time deadline = absl::InfiniteFuture();
  bool streamed = false;
  bool may_force_experts = false;
};

// A cache in front of one router under the test's hand, which has a cacheable pool "pool".
class CachingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SetPolicy({.version = "v1", .ttl = absl::Seconds(60), .max_entry_bytes = 1 << 20});
    Build();
  }
  // A call that is never answered keeps itself alive, as one at a real router would.
  void TearDown() override {
    router_.SetHealthy(false);
    for (const auto& call : router_.calls()) call->Reply(absl::InvalidArgumentError("test ended"));
  }
  void SetPolicy(CachePolicy policy) {
    CachePolicies::ByPool policies;
    policies.emplace("pool", std::make_shared<const CachePolicy>(std::move(policy)));
    policies_.Replace(std::move(policies));
  }
  void Build(size_t max_bytes = 1 << 20, DigestFunction digest = &Sha256OfKey,
             SharedCache* shared = nullptr) {
    parts_ = std::make_unique<CacheParts>(max_bytes, std::move(digest), shared, policies_,
                                          forwarder_, clock_, timers_, events_);
  }

  static InferRequest RequestOf(std::vector<float> values, std::string id = "") {
    InferRequest request;
    request.model_name = "pool";
    request.id = std::move(id);
    const auto size = static_cast<int64_t>(values.size());
    request.inputs.push_back(FloatTensor("x", {1, size}, values));
    return request;
  }
  std::shared_ptr<Asked> Ask(const InferRequest& request, const AskOptions& how = {}) {
    return Ask(EncodeInferRequest(request), how);
  }
  std::shared_ptr<Asked> Ask(const Bytes& message, const AskOptions& how = {},
                             const std::string& pool = "pool") {
    auto asked = std::make_shared<Asked>();
    CallOptions options;
    options.deadline = how.deadline;
    options.metadata = {{"penstock-tenant", how.tenant}};
    asked->call =
        parts_->caching.Infer(pool, message, how.streamed, {how.tenant, how.may_force_experts},
                              std::move(options), [asked](InferReply reply) {
                                EXPECT_FALSE(asked->reply.has_value()) << "twice";
                                asked->reply = std::move(reply);
                              });
    return asked;
  }

  // What a router answers: y = `value`.
  static InferReply AnswerOf(float value, std::vector<OutParameter> more = {},
                             std::string version = "v1") {
    InferResponse response;
    response.model_name = "pool";
    response.model_version = "1";
    response.parameters = {{"penstock_decision_id", std::string("decision")},
                           {"penstock_experts", std::string("small")},
                           {"penstock_energy_j", 3.5},
                           {"penstock_energy_method", std::string("counter")},
                           {"penstock_latency_ms", 7.0},
                           {"from_the_expert", std::string("kept")}};
    for (OutParameter& parameter : more) response.parameters.push_back(std::move(parameter));
    response.outputs.push_back(FloatTensor("y", {1, 1}, {value}));
    return {.status = absl::OkStatus(),
            .body = EncodeInferResponse(response),
            .trailers = {{kAnswerVersionMetadata, std::move(version)}}};
  }
  std::shared_ptr<FakeOutgoingCall> Run(size_t index) { return router_.calls().at(index); }
  size_t runs() const { return router_.calls().size(); }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  FakeInferTarget router_{"router:1"};
  NoRetries retries_;
  Forwarder forwarder_{{&router_}, clock_, timers_, retries_};
  CacheEvents events_;
  CachePolicies policies_;
  std::unique_ptr<CacheParts> parts_;
};

// What came, as a caller reads it.
struct ReadReply {
  float y = -1;
  std::string id;
  std::map<std::string, ParameterValue> parameters;

  std::string Text(const std::string& name) const {
    const auto it = parameters.find(name);
    const auto* text = it == parameters.end() ? nullptr : std::get_if<std::string>(&it->second);
    return text == nullptr ? "" : *text;
  }
  std::optional<double> Number(const std::string& name) const {
    const auto it = parameters.find(name);
    const auto* number = it == parameters.end() ? nullptr : std::get_if<double>(&it->second);
    return number == nullptr ? std::nullopt : std::optional<double>(*number);
  }
};
inline ReadReply Read(const Asked& asked) {
  ReadReply read;
  if (!asked.reply.has_value() || !asked.reply->status.ok()) {
    ADD_FAILURE() << (asked.reply ? asked.reply->status.ToString() : "no reply");
    return read;
  }
  const auto header = ScanInferResponse(asked.reply->body);
  if (!header.ok()) {
    ADD_FAILURE() << header.status();
    return read;
  }
  read.id = header->id;
  for (const Parameter& p : header->parameters) read.parameters.emplace(p.name, p.value);
  const auto outputs = DecodeOutputs(asked.reply->body, *header);
  if (outputs.ok() && outputs->size() == 1) read.y = ToFloats(outputs->front())->at(0);
  return read;
}

}  // namespace penstock::gateway
