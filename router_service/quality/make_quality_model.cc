#include "router_service/quality/constant_quality.h"
#include "router_service/quality/logistic_quality.h"
#include "router_service/quality/quality_model.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<const QualityModel>> MakeQualityModel(const config::v1::Pool& pool,
                                                                     size_t feature_dimension) {
  if (pool.quality_file().empty()) return ConstantQuality::Create(pool);
  std::vector<std::string> names;
  for (const config::v1::PoolExpert& expert : pool.experts()) names.push_back(expert.name());
  return LogisticQuality::Open(pool.quality_file(), names, feature_dimension);
}

}  // namespace penstock::router
