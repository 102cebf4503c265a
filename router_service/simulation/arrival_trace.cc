#include "router_service/simulation/arrival_trace.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/simulation/csv_table.h"

namespace penstock::router {

ArrivalTrace ArrivalTrace::Faster(size_t times) const {
  ArrivalTrace faster;
  const double k = static_cast<double>(times);
  for (size_t round = 0; round < times; ++round) {
    const double from = seconds() / k * static_cast<double>(round);
    for (const double at : at_s) faster.at_s.push_back(from + at / k);
  }
  return faster;
}

ArrivalTrace ArrivalTrace::Overlaid(double streams) const {
  ArrivalTrace overlaid;
  const double end = seconds();
  const double whole = std::ceil(streams);
  for (double stream = 0; stream < whole; ++stream) {
    // Of the last one a part, spread evenly.
    const double part = std::min(1.0, streams - stream);
    for (size_t i = 0; i < at_s.size(); ++i) {
      const double at = static_cast<double>(i);
      if (std::floor(part * (at + 1)) == std::floor(part * at)) continue;
      const double shifted = at_s[i] + end * stream / whole;
      overlaid.at_s.push_back(shifted > end ? shifted - end : shifted);
    }
  }
  std::sort(overlaid.at_s.begin(), overlaid.at_s.end());
  return overlaid;
}

absl::StatusOr<ArrivalTrace> ParseArrivalTrace(absl::string_view file, absl::string_view text,
                                               MalformedRows& malformed) {
  ArrivalTrace trace;
  size_t column = 0;
  double first_ms = 0;
  PENSTOCK_RETURN_IF_ERROR(ReadCsv(
      file, text,
      [&](const CsvHeader& header) -> absl::Status {
        PENSTOCK_ASSIGN_OR_RETURN(column, header.Require(file, "t_ms"));
        return absl::OkStatus();
      },
      [&](absl::Span<const std::string> cells) -> absl::Status {
        PENSTOCK_ASSIGN_OR_RETURN(const double ms, ParseCell("t_ms", cells[column], 0));
        if (trace.at_s.empty()) first_ms = ms;
        const double at = (ms - first_ms) / 1e3;
        if (!trace.at_s.empty() && at < trace.at_s.back()) {
          return absl::InvalidArgumentError(absl::StrCat("t_ms goes back to ", ms));
        }
        trace.at_s.push_back(at);
        return absl::OkStatus();
      },
      malformed));
  if (trace.at_s.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(file, " has no arrivals"));
  }
  return trace;
}

absl::StatusOr<ArrivalTrace> ReadArrivalTrace(const std::string& file, MalformedRows& malformed) {
  PENSTOCK_ASSIGN_OR_RETURN(const std::string text, ReadMaybeGzipped(file));
  return ParseArrivalTrace(file, text, malformed);
}

}  // namespace penstock::router
