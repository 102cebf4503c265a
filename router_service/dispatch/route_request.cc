#include "router_service/dispatch/route_request.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "router_service/pools/pool_contract.h"
#include "router_service/refusals/refusal.h"

namespace penstock::router {
namespace {

Objective ObjectiveOf(absl::string_view name) {
  if (name == "energy") return Objective::kEnergy;
  if (name == "latency") return Objective::kLatency;
  return Objective::kQuality;
}

absl::Status ApplyClass(RouteRequest& request) {
  const InferParameters& parameters = request.parameters;
  const config::v1::ApplicationClass* item = nullptr;
  if (!parameters.application_class.empty()) {
    const auto found = request.pool->classes.find(parameters.application_class);
    if (found == request.pool->classes.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "parameter penstock_class: ", parameters.application_class, " is no class of pool ",
          request.pool->name(), "; its classes: ",
          absl::StrJoin(request.pool->classes, ", ",
                        [](std::string* out, const auto& name) { absl::StrAppend(out, name.first); })));
    }
    request.application_class = found->second;
    item = &request.pool->config.classes().at(parameters.application_class);
  }
  request.energy_cap_j = parameters.energy_budget_j.value_or(RouteRequest::kNone);
  request.min_quality = parameters.min_quality.value_or(0);
  request.objective = ObjectiveOf(parameters.objective);
  if (item == nullptr) return absl::OkStatus();
  if (item->has_latency_budget_ms()) {
    request.parameters.latency_budget = std::min(request.parameters.latency_budget,
                                                 absl::Milliseconds(item->latency_budget_ms()));
  }
  if (item->has_energy_budget_j()) {
    request.energy_cap_j = std::min(request.energy_cap_j, item->energy_budget_j());
  }
  request.min_quality = std::max(request.min_quality, item->min_quality());
  if (parameters.objective.empty()) request.objective = ObjectiveOf(item->objective());
  return absl::OkStatus();
}

absl::Status ApplyForced(RouteRequest& request) {
  if (request.parameters.forced_experts.empty()) return absl::OkStatus();
  if (!request.caller.rights.forced_experts) {
    return Because(Refusal::kRights, absl::PermissionDeniedError(absl::StrCat(
                                         "parameter penstock_experts: tenant ",
                                         request.caller.tenant, " may not name its experts")));
  }
  for (const std::string& name : request.parameters.forced_experts) {
    const std::optional<size_t> expert = request.pool->FindExpert(name);
    if (!expert) {
      return absl::InvalidArgumentError(absl::StrCat(
          "parameter penstock_experts: ", name, " is no expert of pool ", request.pool->name(),
          "; its experts: ", absl::StrJoin(request.pool->expert_names, ", ")));
    }
    request.forced.push_back(static_cast<uint32_t>(*expert));
  }
  return absl::OkStatus();
}

absl::Status ApplyDeadline(RouteRequest& request, absl::Time call_deadline) {
  const absl::Duration asked =
      std::min(request.parameters.latency_budget, call_deadline - request.arrived);
  if (call_deadline <= request.arrived) {
    return Because(Refusal::kDeadline, absl::DeadlineExceededError(
                                           "the deadline had passed when the request arrived"));
  }
  request.deadline = absl::InfiniteFuture();
  request.call_deadline = absl::InfiniteFuture();
  if (asked == absl::InfiniteDuration()) return absl::OkStatus();
  request.latency_asked = asked;
  const absl::Duration reserve = AnswerReserve(asked);
  request.deadline = request.arrived + asked - reserve;
  if (call_deadline != absl::InfiniteFuture()) request.call_deadline = call_deadline - reserve;
  request.latency_budget_s = absl::ToDoubleSeconds(asked - reserve);
  return absl::OkStatus();
}

// A pool by row cuts what an expert gets to what it takes.
absl::Status CheckForcedRows(const RouteRequest& request) {
  if (request.pool->by_row()) return absl::OkStatus();
  const auto takes = [&](const PoolExpert& expert) {
    return expert.max_rows <= 0 || request.rows <= expert.max_rows;
  };
  for (const uint32_t forced : request.forced) {
    const PoolExpert& expert = request.pool->experts[forced];
    if (takes(expert)) continue;
    std::vector<std::string> fit;
    for (const PoolExpert& other : request.pool->experts) {
      if (takes(other)) fit.push_back(other.name);
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "parameter penstock_experts: ", expert.name, " takes at most ", expert.max_rows,
        " rows a request, got ", request.rows, "; experts that take them: ", absl::StrJoin(fit, ", ")));
  }
  return absl::OkStatus();
}

absl::Status CheckRows(const RouteRequest& request) {
  const int64_t most = request.pool->row_limit();
  if (request.rows <= most) return CheckForcedRows(request);
  return absl::InvalidArgumentError(absl::StrCat("input ", request.header.inputs[0].name,
                                                 ": wanted at most ", most, " rows, got ",
                                                 request.rows));
}

}  // namespace

double RouteRequest::TimeLeft(absl::Time now) const {
  return deadline == absl::InfiniteFuture() ? kNone : absl::ToDoubleSeconds(deadline - now);
}

absl::Duration AnswerReserve(absl::Duration budget) {
  return std::min(absl::Milliseconds(1), budget / 10);
}

absl::StatusOr<std::shared_ptr<const Pool>> FindPool(const PoolCatalogue& catalogue,
                                                     absl::string_view name,
                                                     absl::string_view version,
                                                     const CallerIdentity& caller) {
  std::shared_ptr<const Pool> pool = catalogue.Find(name);
  if (pool == nullptr) {
    return Because(Refusal::kUnknownPool,
                   absl::NotFoundError(absl::StrCat("pool ", name, " is unknown")));
  }
  if (!caller.rights.MayCall(name)) {
    return Because(Refusal::kRights,
                   absl::PermissionDeniedError(
                       absl::StrCat("tenant ", caller.tenant, " may not call pool ", name)));
  }
  if (!version.empty() && version != Pool::kVersion) {
    return Because(Refusal::kUnknownPool,
                   absl::NotFoundError(absl::StrCat("pool ", name, " has version ", Pool::kVersion,
                                                    ", got ", version)));
  }
  return pool;
}

absl::StatusOr<RouteRequest> ReadRouteRequest(const PoolCatalogue& catalogue, const Bytes& message,
                                              absl::Time deadline, const Metadata& metadata,
                                              const Caller& caller, absl::Time now) {
  RouteRequest request;
  request.arrived = now;
  request.message = message;
  request.caller = IdentifyCaller(metadata, caller);
  PENSTOCK_ASSIGN_OR_RETURN(request.header, ScanInferRequest(message));
  const InferRequestHeader& header = request.header;
  PENSTOCK_ASSIGN_OR_RETURN(
      request.pool, FindPool(catalogue, header.model_name, header.model_version, request.caller));
  PENSTOCK_ASSIGN_OR_RETURN(request.parameters, ParseInferParameters(header.parameters));
  PENSTOCK_RETURN_IF_ERROR(ApplyClass(request));
  PENSTOCK_RETURN_IF_ERROR(ApplyForced(request));
  PENSTOCK_RETURN_IF_ERROR(ApplyDeadline(request, deadline));
  if (request.pool->rooms == nullptr) {
    return Because(Refusal::kNotReady, request.pool->NotReady());
  }
  PENSTOCK_ASSIGN_OR_RETURN(
      request.rows,
      CheckRequest(request.pool->rooms->contract, header, request.pool->by_row()));
  PENSTOCK_RETURN_IF_ERROR(CheckRows(request));
  PENSTOCK_ASSIGN_OR_RETURN(request.inputs, DecodeInputs(message, header));
  for (const char* key : {kRequestIdMetadata, kTraceparentMetadata}) {
    const absl::string_view value = FindMetadata(metadata, key);
    if (!value.empty()) request.forwarded.emplace_back(key, std::string(value));
  }
  return request;
}

}  // namespace penstock::router
