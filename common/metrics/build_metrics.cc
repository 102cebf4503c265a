#include "common/metrics/build_metrics.h"

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

namespace penstock {

void ExportBuildInfo(prometheus::Registry& registry, const std::string& service) {
  prometheus::BuildGauge()
      .Name("penstock_build_info")
      .Help("1; the labels say which service of which version this is.")
      .Register(registry)
      .Add({{"service", service}, {"version", PENSTOCK_VERSION}})
      .Set(1);
}

}  // namespace penstock
