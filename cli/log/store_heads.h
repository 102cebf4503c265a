#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "router_service/recording/chain/log_head.h"

namespace penstock::cli {

// The heads of `log` that its routers have kept in the store at `uri`; waits a few seconds for its
// server. NOT_FOUND where it has none.
absl::StatusOr<std::vector<router::LogHead>> ReadStoreHeads(absl::string_view uri,
                                                            absl::string_view log);

}  // namespace penstock::cli
