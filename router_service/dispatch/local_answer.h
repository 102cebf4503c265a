#pragma once

#include <cstddef>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/bytes.h"
#include "router_service/combining/local_gate.h"
#include "router_service/dispatch/route_request.h"

namespace penstock::router {

// A tenant's own expert that is asked beside the global one. The gate is the pool's snapshot's.
struct LocalAsk {
  size_t expert = 0;
  const LocalGate* gate = nullptr;
  double distance = 0;  // of z to the tenant's mean
};

// Whom the caller's tenant has beside the global expert; `z` is finite.
std::optional<LocalAsk> LocalAskOf(const RouteRequest& request, absl::Span<const float> z);

// Whether the expert is another tenant's own, or the caller's own and not asked for by name: its
// gate decides over it, no choice.
bool IsOthersOrGated(const RouteRequest& request, size_t expert);

// Whether the gate takes the local answer: on the first row of `output`, which must be FP32 of the
// same shape in both, finite and nowhere negative. Answers that say nothing leave the global one.
bool TakesLocal(const LocalAsk& ask, absl::string_view output, const Bytes& global,
                const Bytes& local);

}  // namespace penstock::router
