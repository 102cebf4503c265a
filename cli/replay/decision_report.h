#pragma once

#include <string>

#include "router_service/simulation/decisions/decision_replay.h"

namespace penstock::cli {

// What `penstock replay --decisions` tells.
std::string FormatDecisionReplay(const router::DecisionReplayReport& report);
std::string DecisionReplayJson(const router::DecisionReplayReport& report);

}  // namespace penstock::cli
