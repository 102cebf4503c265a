#pragma once

#include "router_service/pools/pool_catalogue.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock::router {

class PoolLabels;

// Counts what the shadows of pools do, from here on: before requests come. `registry` outlives the
// pools' records.
void ExportShadowMetrics(prometheus::Registry& registry, PoolLabels& labels,
                         const PoolCatalogue& catalogue);
// Of one pool whose record has counted nothing yet.
void ExportShadowMetrics(prometheus::Registry& registry, PoolLabels& labels, const Pool& pool);

}  // namespace penstock::router
