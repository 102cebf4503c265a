#pragma once

#include <optional>

namespace penstock::router {

// Whether a request needs the second of two stages: where the first is wrong and the second right;
// not where the first is right; nothing is learned where both are wrong. Right: 1/2 or more.
std::optional<bool> NeedsSecond(float first_quality, float second_quality);

}  // namespace penstock::router
