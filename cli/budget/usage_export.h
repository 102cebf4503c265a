#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/usage/usage_counts.h"

namespace penstock::cli {

// A time as the command line takes it: a day or a time in UTC, "now", or how long before `now`, as
// "24h" or "7d". INVALID_ARGUMENT names `option`.
absl::StatusOr<absl::Time> ParseTimeOption(absl::string_view option, const std::string& text,
                                           absl::Time now);

// Millionths as a decimal number with six digits after the point: nothing is rounded.
std::string Millionths(int64_t micros);

// Usage, page by page, as a table for other programs.
class UsageExport {
 public:
  enum class Per { kHour, kDay, kTotal };
  // Whole hours of [from, to).
  UsageExport(absl::Time from, absl::Time to, Per per);

  void Add(const v1::GetUsageResponse& page);
  bool shared() const { return shared_; }

  // A header and a line for each period, tenant and pool; quotes as RFC 4180 has them.
  std::string Csv() const;
  // One object; whole millionths, as JSON's numbers lose digits of fractions.
  std::string Json() const;

 private:
  // Start and end of the period in hours, then whose.
  using Row = std::tuple<int64_t, int64_t, router::UsageKey>;
  Row RowOf(const v1::TenantUsage& usage) const;

  const int64_t from_;
  const int64_t to_;
  const Per per_;
  bool shared_ = true;
  std::map<Row, router::UsageTotals> rows_;
};

}  // namespace penstock::cli
