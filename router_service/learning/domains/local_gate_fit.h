#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "router_service/combining/local_gate.h"

namespace penstock::router {

// What a global expert and a tenant's own said of one request, distributions over the same labels.
struct CustomisationRow {
  std::string tenant;  // empty: a generic request, nobody's own
  std::vector<float> global, local, z;
  size_t label = 0;
};

struct LocalGateFit {
  LocalGate gate;
  size_t tenant_rows = 0, generic_rows = 0;
  size_t other_tenants_rows = 0;  // nothing was learned from them
  size_t fitted_rows = 0;         // where just one of the two was right
  // Shares right of the tenant's rows, which the gate was fitted on, and of the generic ones, which
  // tau was chosen on.
  double tenant_global = 0, tenant_gated = 0;
  double generic_global = 0, generic_gated = 0;
};

// The gate by logistic regression on the tenant's rows: 1 where the local expert is right and the
// global one wrong, 0 where the global one is right; rows on which both are wrong teach nothing.
// tau: the least from 1/2 on for which a generic request that the global expert answers rightly and
// the local one wrongly is given to the local one with probability `most_loss` at most, by
// conformal risk control over the generic rows (CalibrateThreshold). With fewer than 1 / most_loss
// - 1 of those the gate never takes the local answer. INVALID_ARGUMENT names the row.
absl::StatusOr<LocalGateFit> FitLocalGate(absl::Span<const CustomisationRow> rows,
                                          const std::string& tenant, double most_loss = 0.002);

// JSON lines {"tenant": "acme", "global": [...], "local": [...], "z": [...], "label": 3}; a line
// without tenant is generic, one without z has none. Plain or gzipped.
absl::StatusOr<std::vector<CustomisationRow>> ReadCustomisationRows(const std::string& path);

std::string FormatLocalGateFit(const LocalGateFit& fit);

}  // namespace penstock::router
