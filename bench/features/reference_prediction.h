#pragma once

#include <string>
#include <vector>

#include "router_service/quality/hashed_linear_quality.h"

namespace penstock::router {

// What a hashed linear model says of an ASCII prompt, the plain way: strings for tokens, a map for
// counts, double precision throughout.
struct ReferencePrediction {
  std::vector<double> quality, work;
};
ReferencePrediction PredictPlainly(const HashedLinearQuality::Parameters& model, uint32_t bits,
                                   const std::string& prompt);

}  // namespace penstock::router
