#include "router_service/simulation/decisions/mismatch.h"

#include <cmath>

#include "absl/strings/str_format.h"

namespace penstock::router {

bool Mismatches::Same(absl::string_view where, absl::string_view what, double logged,
                      double replayed) {
  if (logged == replayed || (std::isnan(logged) && std::isnan(replayed))) return true;
  Add(where, what, absl::StrFormat("%.17g", logged), absl::StrFormat("%.17g", replayed));
  return false;
}

bool Mismatches::Same(absl::string_view where, absl::string_view what, absl::string_view logged,
                      absl::string_view replayed) {
  if (logged == replayed) return true;
  Add(where, what, logged, replayed);
  return false;
}

void Mismatches::Add(absl::string_view where, absl::string_view what, absl::string_view logged,
                     absl::string_view replayed) {
  ++count_;
  if (first_.size() >= kKept) return;
  first_.push_back(
      {std::string(where), std::string(what), std::string(logged), std::string(replayed)});
}

}  // namespace penstock::router
