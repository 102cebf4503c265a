#include "router_service/recording/decision_id.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace penstock::router {
namespace {

bool ReadHex(absl::string_view digits, uint64_t& value) {
  value = 0;
  for (const char c : digits) {
    int digit = 0;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      digit = c - 'a' + 10;
    } else {
      return false;
    }
    value = value << 4 | static_cast<uint64_t>(digit);
  }
  return true;
}

}  // namespace

std::string DecisionId::ToString() const {
  return absl::StrFormat("%08x-%016x", instance, sequence);
}

absl::StatusOr<DecisionId> DecisionId::Parse(absl::string_view text) {
  DecisionId id;
  uint64_t instance = 0;
  if (text.size() != 25 || text[8] != '-' || !ReadHex(text.substr(0, 8), instance) ||
      !ReadHex(text.substr(9), id.sequence)) {
    return absl::InvalidArgumentError(absl::StrCat("decision_id is \"", text.substr(0, 64),
                                                   "\", wanted 8 hex digits, '-', 16 hex digits"));
  }
  id.instance = static_cast<uint32_t>(instance);
  return id;
}

}  // namespace penstock::router
