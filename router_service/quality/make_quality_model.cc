#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/features/text_features.h"
#include "router_service/quality/constant_quality.h"
#include "router_service/quality/hashed_linear_quality.h"
#include "router_service/quality/logistic_quality.h"
#include "router_service/quality/quality_model.h"

namespace penstock::router {
namespace {

// A model of text reads buckets, which mean something else under other settings.
absl::Status CheckTextFeatures(const config::v1::Pool& pool, const Safetensors& file) {
  const std::string wanted =
      pool.features().has_text() ? TextFeaturesMetadata(pool.features().text()) : "no text";
  const auto said = file.metadata().find("features");
  const std::string trained = said == file.metadata().end() ? "nothing that it says" : said->second;
  if (trained == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(pool.quality_file(), " was trained on features ",
                                                 trained, ", but the pool's are ", wanted));
}

}  // namespace

absl::StatusOr<std::unique_ptr<const QualityModel>> MakeQualityModel(const config::v1::Pool& pool,
                                                                     size_t feature_dimension) {
  if (pool.quality_file().empty()) return ConstantQuality::Create(pool);
  std::vector<std::string> names;
  for (const config::v1::PoolExpert& expert : pool.experts()) names.push_back(expert.name());
  const std::string& path = pool.quality_file();
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file, Safetensors::Open(path));
  const auto kind = file->metadata().find("kind");
  if (kind != file->metadata().end() && kind->second == HashedLinearQuality::kKind) {
    PENSTOCK_RETURN_IF_ERROR(CheckTextFeatures(pool, *file));
    return HashedLinearQuality::FromTensors(*file, path, names, feature_dimension);
  }
  return LogisticQuality::FromTensors(*file, path, names, feature_dimension);
}

}  // namespace penstock::router
