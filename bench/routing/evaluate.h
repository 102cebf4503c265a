#pragma once

#include <vector>

#include "contender.h"
#include "nlohmann/json.hpp"
#include "router_service/evaluation/bootstrap.h"

namespace penstock::router {

struct EvaluationOptions {
  uint64_t seed = 1;
  int replicates = 1000;
};

// What one contender did on the rows of a protocol.
struct Measured {
  std::string contender;
  Routed routed;
  // Means of the same settings on training requests, for those whose settings are also taken as
  // fixed there; else empty.
  std::vector<OperatingPoint> planned;
};

// One flat object a contender, in the order given, and the frontiers for plots. `set` are the rows
// that were tried, in the order of the outcomes.
struct Evaluation {
  nlohmann::json rows = nlohmann::json::array();
  nlohmann::json curves = nlohmann::json::array();
};
Evaluation Evaluate(const RoutingSet& set, const std::vector<Measured>& measured,
                    const EvaluationOptions& options);

}  // namespace penstock::router
