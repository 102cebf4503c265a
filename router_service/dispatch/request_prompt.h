#pragma once

#include <string>

#include "router_service/dispatch/route_request.h"

namespace penstock::router {

// The text that the pool's features.text names, values of an input joined by line feeds; without
// such features the first BYTES input. Empty: there is none.
std::string PromptOf(const RouteRequest& request);

}  // namespace penstock::router
