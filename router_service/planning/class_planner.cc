#include "router_service/planning/class_planner.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/planning/class_problem.h"

namespace penstock::router {
namespace {

// Values closer than this are one value: sums of some thousand terms differ by less.
constexpr double kSameValue = 1e-9;

absl::Status CheckNumber(double value, absl::string_view field, bool may_be_infinite = false) {
  if (value >= 0 && (may_be_infinite || std::isfinite(value))) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, ", wanted a number not below 0"));
}

absl::Status CheckExperts(absl::Span<const size_t> experts, size_t count, absl::string_view field) {
  for (const size_t expert : experts) {
    if (expert < count) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(field, " names expert ", expert, ", but there are ", count));
  }
  return absl::OkStatus();
}

absl::Status Check(const Coverage& values, const ClassPlanRequest& request) {
  const size_t experts = request.costs.size();
  if (experts == 0 || experts > ExpertSet::kMostExperts || experts != values.experts()) {
    return absl::InvalidArgumentError(
        absl::StrCat("costs of ", experts, " experts and values of ", values.experts(),
                     ", wanted as many of both, from 1 to ", ExpertSet::kMostExperts));
  }
  if (request.limits.k == 0) return absl::InvalidArgumentError("k is 0, wanted at least 1");
  for (size_t i = 0; i < experts; ++i) {
    PENSTOCK_RETURN_IF_ERROR(
        CheckNumber(request.costs[i].energy_j, absl::StrCat("costs[", i, "].energy_j")));
    PENSTOCK_RETURN_IF_ERROR(
        CheckNumber(request.costs[i].latency_s, absl::StrCat("costs[", i, "].latency_s")));
    for (size_t x = 0; x < values.rows(); ++x) {
      if (values.column(i)[x] >= 0 && std::isfinite(values.column(i)[x])) continue;
      return absl::InvalidArgumentError(absl::StrCat("value of expert ", i, " in request ", x,
                                                     " is ", values.column(i)[x],
                                                     ", wanted a number not below 0"));
    }
  }
  const SetLimits& limits = request.limits;
  PENSTOCK_RETURN_IF_ERROR(CheckNumber(limits.energy_j, "energy_j", true));
  PENSTOCK_RETURN_IF_ERROR(CheckNumber(limits.latency_s, "latency_s", true));
  PENSTOCK_RETURN_IF_ERROR(CheckNumber(limits.combine_j, "combine_j"));
  PENSTOCK_RETURN_IF_ERROR(CheckNumber(limits.combine_s, "combine_s"));
  PENSTOCK_RETURN_IF_ERROR(CheckNumber(limits.combine_each_s, "combine_each_s"));
  PENSTOCK_RETURN_IF_ERROR(CheckExperts(request.required, experts, "required"));
  PENSTOCK_RETURN_IF_ERROR(CheckExperts(request.forbidden, experts, "forbidden"));
  PENSTOCK_RETURN_IF_ERROR(CheckExperts(request.warm_start, experts, "warm_start"));
  if (!(ExpertSet::Of(request.required) & ExpertSet::Of(request.forbidden)).empty()) {
    return absl::InvalidArgumentError("an expert is both required and forbidden");
  }
  return absl::OkStatus();
}

// The plan under a looser limit than the request's.
class Replanner {
 public:
  Replanner(const Coverage& values, const ClassPlanRequest& request, const SetSearchLimits& search,
            const Clock& clock)
      : values_(values), request_(request), search_(search), clock_(clock) {}

  absl::StatusOr<ClassPlan> At(double energy_j, double latency_s,
                               const std::vector<size_t>& warm_start) {
    request_.limits.energy_j = energy_j;
    request_.limits.latency_s = latency_s;
    request_.warm_start = warm_start;
    return PlanClass(values_, request_, search_, clock_);
  }

 private:
  const Coverage& values_;
  ClassPlanRequest request_;
  const SetSearchLimits& search_;
  const Clock& clock_;
};

// The least limit in (present, loose] whose plan is worth more than `value`, to 1 % of what it
// adds.
absl::StatusOr<std::optional<NextStep>> LeastThatPays(
    double present, double loose, double value,
    const std::function<absl::StatusOr<ClassPlan>(double)>& plan_at) {
  PENSTOCK_ASSIGN_OR_RETURN(ClassPlan better, plan_at(loose));
  if (better.value <= value + kSameValue) return std::nullopt;
  double low = present, high = loose;
  while (high - low > 0.01 * (high - present)) {
    const double middle = 0.5 * (low + high);
    if (middle <= low || middle >= high) break;
    PENSTOCK_ASSIGN_OR_RETURN(ClassPlan plan, plan_at(middle));
    if (plan.value > value + kSameValue) {
      high = middle;
      better = std::move(plan);
    } else {
      low = middle;
    }
  }
  return NextStep{high, high - present, better.value - value, better.experts};
}

}  // namespace

absl::StatusOr<ClassPlan> PlanClass(const Coverage& values, const ClassPlanRequest& request,
                                    const SetSearchLimits& search, const Clock& clock) {
  PENSTOCK_RETURN_IF_ERROR(Check(values, request));
  const SetCost cost(request.costs, request.limits);
  const SetBox root = {ExpertSet::Of(request.required),
                       ExpertSet::All(request.costs.size()) - ExpertSet::Of(request.forbidden)};
  if (!cost.Fits(root.in)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the required experts alone take ", cost.EnergyJ(root.in), " J and ",
                     cost.LatencyS(root.in), " s, more than the limits of ",
                     request.limits.energy_j, " J and ", request.limits.latency_s, " s"));
  }
  ClassProblem problem(values, cost);
  const SetSearchResult found =
      SearchSets(problem, root, ExpertSet::Of(request.warm_start), search, clock);
  return ClassPlan{.experts = found.best.Members(),
                   .value = found.value,
                   .bound = found.bound,
                   .energy_j = cost.EnergyJ(found.best),
                   .latency_s = cost.LatencyS(found.best),
                   .nodes = found.nodes,
                   .end = found.end};
}

absl::string_view BindingLimitName(BindingLimit binding) {
  switch (binding) {
    case BindingLimit::kNone:
      return "none";
    case BindingLimit::kEnergy:
      return "energy";
    case BindingLimit::kLatency:
      return "latency";
    case BindingLimit::kEither:
      return "either";
    case BindingLimit::kBoth:
      return "both";
  }
  return "";
}

absl::StatusOr<PlanAdvice> AdvisePlan(const Coverage& values, const ClassPlanRequest& request,
                                      const ClassPlan& plan, const SetSearchLimits& search,
                                      const Clock& clock) {
  const double energy_j = request.limits.energy_j;
  const double latency_s = request.limits.latency_s;
  Replanner replanner(values, request, search, clock);
  PENSTOCK_ASSIGN_OR_RETURN(const ClassPlan no_energy,
                            replanner.At(SetLimits::kNone, latency_s, plan.experts));
  PENSTOCK_ASSIGN_OR_RETURN(const ClassPlan no_latency,
                            replanner.At(energy_j, SetLimits::kNone, plan.experts));
  PENSTOCK_ASSIGN_OR_RETURN(const ClassPlan free,
                            replanner.At(SetLimits::kNone, SetLimits::kNone, plan.experts));
  PlanAdvice advice;
  advice.without_energy_limit = no_energy.value;
  advice.without_latency_limit = no_latency.value;
  const bool energy = no_energy.value > plan.value + kSameValue;
  const bool latency = no_latency.value > plan.value + kSameValue;
  const bool anything = free.value > plan.value + kSameValue;
  advice.binding = energy && latency ? BindingLimit::kEither
                   : energy          ? BindingLimit::kEnergy
                   : latency         ? BindingLimit::kLatency
                   : anything        ? BindingLimit::kBoth
                                     : BindingLimit::kNone;
  // Steps are searched up to what the unlimited plan takes; that plan may do with less.
  if (energy) {
    PENSTOCK_ASSIGN_OR_RETURN(
        advice.next_joule,
        LeastThatPays(energy_j, no_energy.energy_j, plan.value,
                      [&](double limit) { return replanner.At(limit, latency_s, plan.experts); }));
  }
  if (latency) {
    PENSTOCK_ASSIGN_OR_RETURN(
        advice.next_second,
        LeastThatPays(latency_s, no_latency.latency_s, plan.value,
                      [&](double limit) { return replanner.At(energy_j, limit, plan.experts); }));
  }
  return advice;
}

absl::StatusOr<std::vector<FrontierPoint>> EnergyFrontier(const Coverage& values,
                                                          const ClassPlanRequest& request,
                                                          size_t points,
                                                          const SetSearchLimits& search,
                                                          const Clock& clock) {
  PENSTOCK_RETURN_IF_ERROR(Check(values, request));
  const SetCost cost(request.costs, request.limits);
  const ExpertSet required = ExpertSet::Of(request.required);
  const ExpertSet allowed = ExpertSet::All(request.costs.size()) - ExpertSet::Of(request.forbidden);
  double lowest = SetLimits::kNone;
  (allowed - required).ForEach([&](size_t expert) {
    lowest = std::min(lowest, cost.EnergyJ(required.With(expert)));
  });
  const double highest = cost.EnergyJ(allowed);
  lowest = std::max(cost.EnergyJ(required), std::min(lowest, highest));
  std::vector<FrontierPoint> frontier;
  Replanner replanner(values, request, search, clock);
  std::vector<size_t> warm_start;
  for (size_t i = 0; i < points; ++i) {
    // Evenly in the logarithm: experts' joules span orders of magnitude.
    const double part = points > 1 ? static_cast<double>(i) / static_cast<double>(points - 1) : 1;
    double limit = lowest > 0 ? lowest * std::pow(highest / lowest, part) : highest * part;
    if (i + 1 == points) limit = highest;
    if (i == 0) limit = lowest;
    PENSTOCK_ASSIGN_OR_RETURN(ClassPlan plan,
                              replanner.At(limit, request.limits.latency_s, warm_start));
    warm_start = plan.experts;
    if (!frontier.empty() && plan.value <= frontier.back().plan.value + kSameValue) continue;
    frontier.push_back({limit, std::move(plan)});
  }
  return frontier;
}

std::vector<double> ResponsibilityShares(absl::Span<const double> quality, size_t experts,
                                         size_t rows) {
  std::vector<double> shares(experts * rows, 0.0);
  for (size_t x = 0; x < rows; ++x) {
    double best = 0;
    size_t reached = 0;
    for (size_t i = 0; i < experts; ++i) {
      const double value = quality[i * rows + x];
      if (value > best) {
        best = value;
        reached = 0;
      }
      if (value == best) ++reached;
    }
    if (best <= 0) continue;
    for (size_t i = 0; i < experts; ++i) {
      if (quality[i * rows + x] == best) {
        shares[i * rows + x] = 1.0 / static_cast<double>(reached);
      }
    }
  }
  return shares;
}

std::vector<double> RestrictWeights(absl::Span<const double> weights,
                                    absl::Span<const size_t> set) {
  std::vector<double> restricted(weights.size(), 0.0);
  double sum = 0;
  for (const size_t expert : set) sum += weights[expert];
  if (sum <= 0) return restricted;
  for (const size_t expert : set) restricted[expert] = weights[expert] / sum;
  return restricted;
}

}  // namespace penstock::router
