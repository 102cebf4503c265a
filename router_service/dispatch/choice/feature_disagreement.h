#pragma once

#include "router_service/dispatch/choice/expert_choice.h"
#include "router_service/features/feature_view.h"

namespace penstock::router {

// Whether the best expert at this price, limits aside, is another one on a part of the prompt: on z
// without the tenth of its words and pairs that are rarest among the training prompts, or on one of
// its quarters, where they are long enough to say anything. Added text that pushes the router is
// often rare, or in one place (Shafran et al., Rerouting LLM Routers, arXiv:2501.01818); honest
// prompts disagree with themselves too, so this is a signal and no rule. `z` as scored, finite.
bool FeaturesDisagree(const RouteRequest& request, const ScoredExperts& scored,
                      const FeatureBuffer& z, double price_per_joule);

}  // namespace penstock::router
