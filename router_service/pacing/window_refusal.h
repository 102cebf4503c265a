#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "router_service/pacing/window_budget.h"

namespace penstock::router {

// RESOURCE_EXHAUSTED for an answer that does not cover, with RetryAfter. `name`: of the budget.
absl::Status WindowRefusal(WindowAnswer answer, absl::string_view name, const WindowBudget& budget);

}  // namespace penstock::router
