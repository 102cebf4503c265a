#include "router_service/selection/selection.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "router_service/refusals/refusal.h"

namespace penstock::router {
namespace {

std::string Figures(absl::string_view word, const SoloOption& option,
                    absl::Span<const std::string> names) {
  const std::string name =
      option.expert < names.size() ? names[option.expert] : absl::StrCat("#", option.expert);
  return absl::StrFormat("%s is %s with %.6g ms and %.6g J", word, name, option.latency_s * 1e3,
                         option.energy_j);
}

std::string Asked(const SelectionLimits& limits) {
  std::string text;
  const auto add = [&text](const std::string& part) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", part);
  };
  if (limits.latency_budget_s < SelectionLimits::kNone) {
    add(absl::StrFormat("latency budget %.6g ms", limits.latency_budget_s * 1e3));
  }
  if (limits.energy_cap_j < SelectionLimits::kNone) {
    add(absl::StrFormat("energy budget %.6g J", limits.energy_cap_j));
  }
  if (limits.min_quality > 0) add(absl::StrFormat("min quality %.6g", limits.min_quality));
  return text;
}

// Which of the request's own limits: the first that no expert alone keeps to.
Refusal WhyInfeasible(const SelectionResult& result, const SelectionLimits& limits) {
  if (!(result.fastest.latency_s <= limits.latency_budget_s)) return Refusal::kDeadline;
  if (!(result.cheapest.energy_j <= limits.energy_cap_j)) return Refusal::kEnergyBudget;
  // Who is in time may be beyond the cap, and who is cheap be late: then time is what lacks.
  return limits.min_quality > 0 ? Refusal::kQuality : Refusal::kDeadline;
}

}  // namespace

absl::string_view ExclusionName(Exclusion exclusion) {
  switch (exclusion) {
    case Exclusion::kNone:
      return "";
    case Exclusion::kUnhealthy:
      return "unhealthy";
    case Exclusion::kBreaker:
      return "breaker open";
    case Exclusion::kLeftOut:
      return "left out";
    case Exclusion::kPlan:
      return "plan";
    case Exclusion::kTenant:
      return "tenant";
    case Exclusion::kNotForced:
      return "not in penstock_experts";
    case Exclusion::kLatencyBudget:
      return "latency budget";
    case Exclusion::kEnergyBudget:
      return "energy budget";
    case Exclusion::kBudget:
      return "budget";
    case Exclusion::kLargestAnswer:
      return "largest answer";
    case Exclusion::kMinQuality:
      return "min quality";
    case Exclusion::kNonFinite:
      return "non-finite estimate";
  }
  return "";
}

absl::string_view DegradedName(Degraded degraded) {
  switch (degraded) {
    case Degraded::kNone:
      return "";
    case Degraded::kBudget:
      return "budget";
    case Degraded::kDeadline:
      return "deadline";
    case Degraded::kQuality:
      return "quality";
  }
  return "";
}

void SelectionResult::Clear() {
  std::vector<SelectedExpert> kept = std::move(chosen);
  kept.clear();
  *this = SelectionResult();
  chosen = std::move(kept);
}

absl::Status SelectionStatus(const SelectionResult& result, const SelectionLimits& limits,
                             absl::Span<const std::string> names) {
  const auto detail = [&] {
    return absl::StrCat(Figures("the cheapest", result.cheapest, names), "; ",
                        Figures("the fastest", result.fastest, names));
  };
  switch (result.verdict) {
    case SelectionVerdict::kChosen:
    case SelectionVerdict::kDegraded:
      return absl::OkStatus();
    case SelectionVerdict::kNoExpert:
      return Because(Refusal::kNoExpert,
                     absl::UnavailableError(limits.forced.empty()
                                                ? "no healthy expert"
                                                : "an expert of penstock_experts is not available"));
    case SelectionVerdict::kInfeasible:
      return Because(WhyInfeasible(result, limits),
                     absl::FailedPreconditionError(
                         absl::StrCat("no expert meets ", Asked(limits), ": ", detail())));
    case SelectionVerdict::kInfeasibleNow:
      return Because(Refusal::kDeadline, absl::DeadlineExceededError(absl::StrFormat(
                                             "no expert meets %s with %.6g ms left: %s",
                                             Asked(limits), limits.time_left_s * 1e3, detail())));
  }
  return absl::InternalError("unknown verdict");
}

}  // namespace penstock::router
