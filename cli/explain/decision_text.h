#pragma once

#include <string>

#include "penstock/v1/routing.pb.h"

namespace penstock::cli {

// Who would be asked and why, a line an expert; limits; and what would change the choice.
std::string DecisionText(const v1::Decision& decision);

}  // namespace penstock::cli
