#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock::cli {

// The text that HOST:PORT serves at /metrics. UNAVAILABLE when it cannot be had within 2 s.
absl::StatusOr<std::string> ScrapeMetrics(const std::string& address);

// Sum over the label sets of a counter or gauge in Prometheus' text format; 0 when there is none.
double SumOfMetric(absl::string_view text, absl::string_view name);

}  // namespace penstock::cli
