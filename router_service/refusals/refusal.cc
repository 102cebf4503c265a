#include "router_service/refusals/refusal.h"

#include <string>
#include <utility>

#include "absl/strings/cord.h"

namespace penstock::router {
namespace {

constexpr char kReason[] = "penstock.refusal";

}  // namespace

absl::string_view RefusalName(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone:
      return "";
    case Refusal::kInvalid:
      return "invalid";
    case Refusal::kUnknownPool:
      return "unknown_pool";
    case Refusal::kRights:
      return "rights";
    case Refusal::kNotReady:
      return "not_ready";
    case Refusal::kMaxInFlight:
      return "max_in_flight";
    case Refusal::kBudget:
      return "budget";
    case Refusal::kStoreDown:
      return "store_down";
    case Refusal::kDeadline:
      return "deadline";
    case Refusal::kEnergyBudget:
      return "energy_budget";
    case Refusal::kQuality:
      return "quality";
    case Refusal::kNoExpert:
      return "no_expert";
    case Refusal::kExpertFailed:
      return "expert_failed";
    case Refusal::kCancelled:
      return "cancelled";
    case Refusal::kInternal:
      return "internal";
  }
  return "";
}

absl::Status Because(Refusal why, absl::Status status) {
  if (status.ok() || status.GetPayload(kReason).has_value()) return status;
  status.SetPayload(kReason, absl::Cord(std::string(1, static_cast<char>(why))));
  return status;
}

Refusal RefusalOf(const absl::Status& status) {
  if (status.ok()) return Refusal::kNone;
  if (const auto reason = status.GetPayload(kReason); reason.has_value() && !reason->empty()) {
    const auto number = static_cast<unsigned char>((*reason)[0]);
    if (number < kRefusals) return static_cast<Refusal>(number);
  }
  if (absl::IsInvalidArgument(status)) return Refusal::kInvalid;
  return absl::IsCancelled(status) ? Refusal::kCancelled : Refusal::kInternal;
}

}  // namespace penstock::router
