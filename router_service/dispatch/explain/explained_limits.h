#pragma once

#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/choice/expert_choice.h"

namespace penstock::router {

// Who would be chosen if one limit were another, as Explain says it.
void DescribeCounterfactuals(const RouteRequest& request, const ExpertChoice& choice,
                             v1::Decision& decision);

}  // namespace penstock::router
