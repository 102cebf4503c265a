#include "common/net/oip/oip_core.h"

#include <prometheus/counter.h>

namespace penstock {

void OipCore::Accepted() {
  accepted.fetch_add(1, std::memory_order_relaxed);
  if (accepted_total != nullptr) accepted_total->Increment();
}

void OipCore::Answered(uint64_t calls) {
  if (calls == 0) return;
  answered.fetch_add(calls, std::memory_order_relaxed);
  if (answered_total != nullptr) answered_total->Increment(static_cast<double>(calls));
}

absl::Status DroppedCall() {
  return absl::InternalError("the call was dropped without an answer");
}

}  // namespace penstock
