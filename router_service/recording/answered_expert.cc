#include "router_service/recording/answered_expert.h"

#include <algorithm>

namespace penstock::router {

const v1::Run* AnsweredRun(const v1::Decision& decision) {
  const v1::Run* last = nullptr;
  bool several = false;
  bool cascade = false;
  // Beside a tenant's own expert one answer is taken, and has all of the weight.
  const bool one_taken = std::any_of(decision.runs().begin(), decision.runs().end(),
                                     [](const v1::Run& run) { return run.reason() == "local"; });
  for (const v1::Run& run : decision.runs()) {
    cascade = cascade || run.reason() == "escalation";
    if (run.status() != "OK" || run.reason() == "verification") continue;
    if (one_taken && run.weight() == 0) continue;
    several = several || (last != nullptr && last->expert() != run.expert());
    last = &run;
  }
  // Of a cascade the last answer stands; experts asked at once are combined.
  return several && !cascade ? nullptr : last;
}

std::optional<double> PropensityOf(const v1::Decision& decision, const v1::Run& answered) {
  if (!decision.has_propensity()) return std::nullopt;
  for (const v1::Run& run : decision.runs()) {
    if (run.reason() != "chosen") continue;
    if (run.expert() != answered.expert()) break;
    return decision.propensity();
  }
  return std::nullopt;
}

}  // namespace penstock::router
