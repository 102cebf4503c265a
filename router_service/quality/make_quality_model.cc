#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/features/text_features.h"
#include "router_service/gating/expert_columns.h"
#include "router_service/quality/constant_quality.h"
#include "router_service/quality/hashed_linear_quality.h"
#include "router_service/quality/learned/calibrated_quality.h"
#include "router_service/quality/learned/carded_quality.h"
#include "router_service/quality/learned/expert_cards.h"
#include "router_service/quality/logistic_quality.h"
#include "router_service/quality/quality_model.h"

namespace penstock::router {
namespace {

// A model of text reads buckets, which mean something else under other settings.
absl::Status CheckTextFeatures(const config::v1::Pool& pool, const Safetensors& file) {
  std::string wanted = "no text";
  if (pool.features().has_text()) {
    PENSTOCK_ASSIGN_OR_RETURN(wanted, ReadTextFeaturesMetadata(pool.features().text()));
  }
  const auto said = file.metadata().find("features");
  const std::string trained = said == file.metadata().end() ? "nothing that it says" : said->second;
  if (trained == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(pool.quality_file(), " was trained on features ",
                                                 trained, ", but the pool's are ", wanted));
}

// The models that a file may hold.
enum class Kind { kLogistic, kHashedLinear, kNeighbours, kHiddenLayer, kFactorised, kPrototypes };

absl::StatusOr<Kind> KindOf(const Safetensors& file, const std::string& path) {
  using Calibrated = CalibratedQuality::Kind;
  const std::pair<absl::string_view, Kind> names[] = {
      {"logistic_quality", Kind::kLogistic},
      {HashedLinearQuality::kKind, Kind::kHashedLinear},
      {CalibratedQuality::KindName(Calibrated::kNeighbours), Kind::kNeighbours},
      {CalibratedQuality::KindName(Calibrated::kHiddenLayer), Kind::kHiddenLayer},
      {CalibratedQuality::KindName(Calibrated::kFactorised), Kind::kFactorised},
      {CalibratedQuality::KindName(Calibrated::kPrototypes), Kind::kPrototypes},
  };
  const auto said = file.metadata().find("kind");
  if (said == file.metadata().end()) return Kind::kLogistic;
  std::string known;
  for (const auto& [name, kind] : names) {
    if (said->second == name) return kind;
    absl::StrAppend(&known, known.empty() ? "" : ", ", name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": metadata \"kind\" is ", said->second, ", wanted one of ", known));
}

absl::StatusOr<std::unique_ptr<const QualityModel>> Trained(const config::v1::Pool& pool,
                                                            const Safetensors& file,
                                                            const std::vector<std::string>& names,
                                                            size_t feature_dimension) {
  using Calibrated = CalibratedQuality::Kind;
  const std::string& path = pool.quality_file();
  PENSTOCK_ASSIGN_OR_RETURN(const Kind kind, KindOf(file, path));
  const auto calibrated =
      [&](Calibrated of) -> absl::StatusOr<std::unique_ptr<const QualityModel>> {
    // Without text the length of z, which the model checks, is all there is to compare.
    if (pool.features().has_text()) PENSTOCK_RETURN_IF_ERROR(CheckTextFeatures(pool, file));
    return CalibratedQuality::FromTensors(of, file, path, names, feature_dimension);
  };
  switch (kind) {
    case Kind::kLogistic:
      return LogisticQuality::FromTensors(file, path, names, feature_dimension);
    case Kind::kHashedLinear:
      PENSTOCK_RETURN_IF_ERROR(CheckTextFeatures(pool, file));
      return HashedLinearQuality::FromTensors(file, path, names, feature_dimension);
    case Kind::kNeighbours:
      return calibrated(Calibrated::kNeighbours);
    case Kind::kHiddenLayer:
      return calibrated(Calibrated::kHiddenLayer);
    case Kind::kFactorised:
      return calibrated(Calibrated::kFactorised);
    case Kind::kPrototypes:
      return calibrated(Calibrated::kPrototypes);
  }
  return absl::InternalError("no such kind");
}

}  // namespace

absl::StatusOr<std::unique_ptr<const QualityModel>> MakeQualityModel(const config::v1::Pool& pool,
                                                                     size_t feature_dimension) {
  std::vector<std::string> names;
  for (const config::v1::PoolExpert& expert : pool.experts()) names.push_back(expert.name());
  std::vector<std::optional<size_t>> known(names.size());
  if (pool.quality_file().empty()) {
    if (pool.cards_file().empty()) return ConstantQuality::Create(pool);
    return CardedQuality::Create(pool, nullptr, std::move(known));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::shared_ptr<const Safetensors> file,
                            Safetensors::Open(pool.quality_file()));
  if (pool.cards_file().empty()) return Trained(pool, *file, names, feature_dimension);
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<ExpertCard> cards,
                            ReadExpertCards(pool.cards_file()));
  std::vector<std::string> of_file;
  for (size_t i = 0; i < names.size(); ++i) {
    size_t all = 0;
    const bool has_card = std::any_of(cards.begin(), cards.end(), [&](const ExpertCard& card) {
      return card.expert == names[i];
    });
    if (has_card && !ExpertColumns(*file, pool.quality_file(), {names[i]}, all).ok()) continue;
    known[i] = of_file.size();
    of_file.push_back(names[i]);
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::unique_ptr<const QualityModel> trained,
                            Trained(pool, *file, of_file, feature_dimension));
  return CardedQuality::Create(pool, std::move(trained), std::move(known));
}

}  // namespace penstock::router
