#pragma once

#include <string>

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock {

// penstock_build_info: which service of which version exports the registry.
void ExportBuildInfo(prometheus::Registry& registry, const std::string& service);

}  // namespace penstock
