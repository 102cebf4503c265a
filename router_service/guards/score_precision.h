#pragma once

#include "penstock/v1/routing.pb.h"

namespace penstock::router {

// What a decision, a list of experts and a plan tell a caller without the admin right: scores,
// weights and shares to two decimals, and nothing of features or margins. Exact ones let a caller
// fit a copy of the router and search it for prompts (Shafran et al., Rerouting LLM Routers,
// arXiv:2501.01818).
void CoarsenScores(v1::Decision& decision);
void CoarsenScores(v1::ListExpertsResponse& response);
void CoarsenScores(v1::GetPlanResponse& response);

}  // namespace penstock::router
