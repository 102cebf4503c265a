#include "router_service/planning/resident_planner.h"

#include <cmath>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "router_service/planning/resident_problem.h"

namespace penstock::router {
namespace {

absl::Status CheckNumbers(absl::Span<const double> numbers, size_t wanted,
                          absl::string_view field) {
  if (numbers.size() != wanted) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, " has ", numbers.size(), " numbers, wanted ", wanted));
  }
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] >= 0 && std::isfinite(numbers[i])) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(field, "[", i, "] is ", numbers[i], ", wanted a number not below 0"));
  }
  return absl::OkStatus();
}

absl::Status Check(const ResidentRequest& request) {
  const size_t experts = request.experts;
  if (experts == 0 || experts > ExpertSet::kMostExperts) {
    return absl::InvalidArgumentError(
        absl::StrCat(experts, " experts, wanted from 1 to ", ExpertSet::kMostExperts));
  }
  if (request.rows == 0) return absl::InvalidArgumentError("no requests to plan for");
  const size_t cells = experts * request.rows;
  PENSTOCK_RETURN_IF_ERROR(CheckNumbers(request.values, cells, "values"));
  PENSTOCK_RETURN_IF_ERROR(CheckNumbers(request.joules, cells, "joules"));
  PENSTOCK_RETURN_IF_ERROR(CheckNumbers(request.idle_watts, experts, "idle_watts"));
  if (!request.latency_s.empty()) {
    PENSTOCK_RETURN_IF_ERROR(CheckNumbers(request.latency_s, experts, "latency_s"));
  }
  if (!(request.watts > 0) || !std::isfinite(request.watts)) {
    return absl::InvalidArgumentError(absl::StrCat("watts is ", request.watts, ", wanted above 0"));
  }
  if (!(request.requests_per_s > 0) || !std::isfinite(request.requests_per_s)) {
    return absl::InvalidArgumentError(
        absl::StrCat("requests_per_s is ", request.requests_per_s, ", wanted above 0"));
  }
  if (request.k == 0) return absl::InvalidArgumentError("k is 0, wanted at least 1");
  for (const std::vector<size_t>* named : {&request.required, &request.forbidden}) {
    for (const size_t expert : *named) {
      if (expert >= experts) {
        return absl::InvalidArgumentError(
            absl::StrCat("expert ", expert, " is named, but there are ", experts));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ResidentPlan> PlanResidents(const ResidentRequest& request,
                                           const SetSearchLimits& search, const Clock& clock) {
  PENSTOCK_RETURN_IF_ERROR(Check(request));
  SetBox root = {ExpertSet::Of(request.required),
                 ExpertSet::All(request.experts) - ExpertSet::Of(request.forbidden)};
  for (size_t i = 0; i < request.latency_s.size(); ++i) {
    if (request.latency_s[i] > request.latency_limit_s) root.allowed.Remove(i);
  }
  if (!root.allowed.Contains(root.in)) {
    return absl::FailedPreconditionError(
        "a required expert is forbidden, or slower than the latency limit");
  }
  ResidentProblem problem(request);
  if (!problem.Feasible(root.in)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the required experts idle at ", problem.IdleWatts(root.in),
                     " W, more than the limit of ", request.watts, " W"));
  }
  ResidentPlan plan;
  plan.all_fit = problem.Feasible(root.allowed);
  std::optional<ExpertSet> start;
  if (plan.all_fit) {
    plan.all_value = problem.Value(root.allowed);
    start = root.allowed;
  }
  const SetSearchResult found = SearchSets(problem, root, start, search, clock);
  plan.experts = found.best.Members();
  plan.value = found.value;
  plan.bound = found.bound;
  plan.nodes = found.nodes;
  plan.end = found.end;
  double value = 0;
  plan.price_per_joule = problem.BestPrice(found.best, &value);
  const ResidentProblem::Spending spending = problem.At(found.best, plan.price_per_joule);
  plan.share = spending.share;
  plan.idle_watts = problem.IdleWatts(found.best);
  plan.active_watts = spending.joules * request.requests_per_s;
  return plan;
}

std::string DescribeChoice(const ResidentPlan& plan) {
  if (!plan.all_fit) {
    return "Choosing who is awake is needed: the idle watts of all experts are above the limit.";
  }
  if (!plan.choosing_pays()) {
    return "Choosing who is awake adds nothing here: all experts awake, with prices, are worth as "
           "much.";
  }
  return absl::StrFormat(
      "Choosing who is awake pays: %.4f against %.4f with all experts awake, at equal watts.",
      plan.value, plan.all_value);
}

}  // namespace penstock::router
