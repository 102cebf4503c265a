#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/random.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/choice/expert_choice.h"
#include "router_service/features/feature_view.h"
#include "router_service/pools/shadow_record.h"

namespace penstock::router {

// What the pool's shadow makes of a request beside the live files. Nothing of it runs.
struct ShadowChoice {
  std::vector<float> quality;  // predicted, by expert
  std::string experts;         // that it would ask, by configuration order, comma-separated
  ShadowDecision compared;     // with the live choice
};

// Decides the request as the live files just did, by the shadow's files: among the same experts,
// under the limits and prices of `live`, with the features `z`. `mean_answers` as in ScoreExperts.
// Null where the pool has no shadow, the caller named the experts, or either chose nobody.
std::unique_ptr<const ShadowChoice> ChooseByShadow(const RouteRequest& request,
                                                   const ExpertChoice& live, const FeatureBuffer& z,
                                                   CounterRandom random, absl::Time now,
                                                   bool mean_answers);

// Into the decision: whom the shadow would have asked, and what it expected of the one that
// answered.
void DescribeShadow(const RouteRequest& request, const ShadowChoice& shadow,
                    v1::Decision& decision);

}  // namespace penstock::router
