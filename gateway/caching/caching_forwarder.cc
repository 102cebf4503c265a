#include "gateway/caching/caching_forwarder.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "common/tensors/infer_message.h"
#include "gateway/caching/kept_answer.h"

namespace penstock::gateway {
namespace {

// What the parameters say of the cache. What is not as it should be is the router's to refuse.
struct Wishes {
  bool readable = true;
  bool bypass = false;
  bool explain = false;
  absl::Duration budget = absl::InfiniteDuration();
};

std::optional<double> AsDouble(const ParameterValue& value) {
  if (const auto* v = std::get_if<double>(&value)) return *v;
  if (const auto* v = std::get_if<int64_t>(&value)) return static_cast<double>(*v);
  if (const auto* v = std::get_if<uint64_t>(&value)) return static_cast<double>(*v);
  return std::nullopt;
}

Wishes ReadWishes(const std::vector<Parameter>& parameters) {
  Wishes wishes;
  for (const Parameter& parameter : parameters) {
    if (parameter.name == "penstock_cache") {
      const auto* word = std::get_if<std::string>(&parameter.value);
      wishes.bypass = word != nullptr && *word == "bypass";
      wishes.readable &= wishes.bypass || (word != nullptr && *word == "use");
    } else if (parameter.name == "penstock_explain") {
      const auto* flag = std::get_if<bool>(&parameter.value);
      wishes.explain = flag != nullptr && *flag;
      wishes.readable &= flag != nullptr;
    } else if (parameter.name == "penstock_latency_budget_ms" || parameter.name == "timeout") {
      const std::optional<double> value = AsDouble(parameter.value);
      wishes.readable &= value.has_value() && std::isfinite(*value) && *value >= 0;
      if (!wishes.readable) continue;
      if (parameter.name != "timeout") {
        wishes.budget = std::min(wishes.budget, absl::Milliseconds(*value));
      } else if (*value > 0) {  // microseconds; 0 is none
        wishes.budget = std::min(wishes.budget, absl::Microseconds(*value));
      }
    }
  }
  return wishes;
}

}  // namespace

std::shared_ptr<OutgoingCall> CachingForwarder::Infer(absl::string_view pool, const Bytes& message,
                                                      bool streamed, const Asker& asker,
                                                      CallOptions options, Done done) {
  const std::shared_ptr<const CachePolicy> policy = deps_.policies.Find(pool);
  if (policy == nullptr) {
    return deps_.forwarder.Forward(pool, message, std::move(options), std::move(done));
  }
  // Its key would be about as large.
  if (streamed || message.size() > policy->max_entry_bytes) {
    return Bypass(pool, message, std::move(options), std::move(done));
  }
  absl::StatusOr<InferRequestHeader> header = ScanInferRequest(message);
  if (!header.ok()) return Bypass(pool, message, std::move(options), std::move(done));
  const Wishes wishes = ReadWishes(header->parameters);
  if (!wishes.readable || wishes.bypass) {
    return Bypass(pool, message, std::move(options), std::move(done));
  }
  const absl::StatusOr<std::vector<Tensor>> inputs = DecodeInputs(message, *header);
  if (!inputs.ok()) return Bypass(pool, message, std::move(options), std::move(done));
  CacheKey key = MakeCacheKey({.pool = pool,
                               .version = policy->version,
                               .tenant = policy->share_between_tenants ? nullptr : &asker.tenant,
                               .may_force_experts = asker.may_force_experts},
                              *header, *inputs, deps_.digest);
  Flights::Request request{.pool = std::string(pool),
                           .policy = policy,
                           .message = message,
                           .id = std::move(header->id),
                           .tenant = asker.tenant,
                           .options = std::move(options),
                           .due = absl::InfiniteFuture()};
  // A kept answer has no decision to explain.
  if (wishes.explain) return Refresh(std::move(key), std::move(request), std::move(done));
  if (const auto kept = deps_.answers.Find(key); kept != nullptr) {
    deps_.observer.Answered(pool, CacheObserver::Source::kLocal);
    done(KeptReply(*kept, request.id));
    return nullptr;
  }
  request.due = std::min(request.options.deadline, deps_.clock.Now() + wishes.budget);
  return deps_.flights.Join(std::move(key), std::move(request), std::move(done));
}

std::shared_ptr<OutgoingCall> CachingForwarder::Bypass(absl::string_view pool, const Bytes& message,
                                                       CallOptions options, Done done) {
  deps_.observer.Answered(pool, CacheObserver::Source::kBypass);
  return deps_.forwarder.Forward(pool, message, std::move(options),
                                 [done = std::move(done)](InferReply reply) mutable {
                                   if (reply.status.ok())
                                     reply.body = MarkedAnswer(reply.body, "bypass");
                                   done(std::move(reply));
                                 });
}

std::shared_ptr<OutgoingCall> CachingForwarder::Refresh(CacheKey key, Flights::Request request,
                                                        Done done) {
  deps_.observer.Answered(request.pool, CacheObserver::Source::kBypass);
  return deps_.forwarder.Forward(
      request.pool, WithoutId(request.message), std::move(request.options),
      [&answers = deps_.answers, key = std::move(key), pool = request.pool,
       policy = std::move(request.policy), id = std::move(request.id),
       done = std::move(done)](InferReply reply) mutable {
        // What cannot be read is not kept; its caller gets it as it is.
        (void)answers.Keep(pool, *policy, key, reply);
        if (reply.status.ok()) reply.body = AnswerOfRun(reply.body, id, "bypass");
        done(std::move(reply));
      });
}

}  // namespace penstock::gateway
