#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// Of a budget's windows: pool/tenant/RESOURCE/PER, with `/` and `%` of names escaped, so that no two
// budgets have the same.
std::string WindowKey(absl::string_view pool, const config::v1::Budget& budget);
// The same as the names were: pool, tenant, resource, period.
std::vector<std::string> WindowKeyParts(absl::string_view key);

}  // namespace penstock::router
