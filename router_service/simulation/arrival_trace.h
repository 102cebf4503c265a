#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "router_service/simulation/malformed_rows.h"

namespace penstock::router {

// When requests came, in seconds from the first, in order.
struct ArrivalTrace {
  std::vector<double> at_s;

  double seconds() const { return at_s.empty() ? 0 : at_s.back(); }
  // Requests per second.
  double rate() const { return seconds() > 0 ? static_cast<double>(at_s.size()) / seconds() : 0; }
  // The same pattern, `times` as fast and as often: as long as before.
  ArrivalTrace Faster(size_t times) const;
  // So many streams like this one at once, on the mean (above 0), each shifted by an equal part of the
  // trace and wrapped round: rates and bursts last as long as they did.
  ArrivalTrace Overlaid(double streams) const;
};

// CSV with a column t_ms (milliseconds; others are passed over). Rows that go back in time are
// malformed. `text` is the file's.
absl::StatusOr<ArrivalTrace> ParseArrivalTrace(absl::string_view file, absl::string_view text,
                                               MalformedRows& malformed);
// Plain or gzipped.
absl::StatusOr<ArrivalTrace> ReadArrivalTrace(const std::string& file, MalformedRows& malformed);

}  // namespace penstock::router
