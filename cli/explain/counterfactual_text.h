#pragma once

#include <string>

#include "penstock/v1/routing.pb.h"

namespace penstock::cli {

// "with 2 J more for the request: big (quality +0.08, 4.2 J, 12 ms)"
std::string CounterfactualText(const v1::Counterfactual& counterfactual);

}  // namespace penstock::cli
