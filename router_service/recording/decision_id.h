#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock::router {

// Router instance (8 hex) - sequence (16 hex).
struct DecisionId {
  uint32_t instance = 0;
  uint64_t sequence = 0;

  std::string ToString() const;
  // INVALID_ARGUMENT for anything but 8 hex digits, '-', 16 hex digits.
  static absl::StatusOr<DecisionId> Parse(absl::string_view text);

  friend bool operator==(const DecisionId&, const DecisionId&) = default;
};

}  // namespace penstock::router
