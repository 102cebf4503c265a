#include "router_service/quality/learned/feature_weighting.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::router {

bool FeatureWeighting::CanRead(const FeatureView& z) const {
  return z.known && z.dense.size() >= dense_mean.size() &&
         (z.indices.empty() || z.indices.back() < buckets);
}

void FeatureWeighting::Apply(const FeatureView& z, std::vector<uint32_t>& columns,
                             std::vector<float>& values) const {
  columns.clear();
  values.clear();
  if (buckets > 0) {
    for (size_t i = 0; i < z.indices.size(); ++i) {
      const uint32_t column = z.indices[i] >> fold_shift;
      if (!columns.empty() && columns.back() == column) {
        // Two words in one column: log(1 + times) of both together.
        values.back() = std::log1p(std::expm1(values.back()) + std::expm1(z.values[i]));
      } else {
        columns.push_back(column);
        values.push_back(z.values[i]);
      }
    }
    double square = 0;
    for (size_t i = 0; i < columns.size(); ++i) {
      values[i] *= idf[columns[i]];
      square += static_cast<double>(values[i]) * values[i];
    }
    const float scale = square > 0 ? static_cast<float>(1 / std::sqrt(square)) : 0.0f;
    for (float& value : values) value *= scale;
  }
  for (size_t j = 0; j < dense_mean.size(); ++j) {
    columns.push_back(static_cast<uint32_t>(idf.size() + j));
    values.push_back((z.dense[j] - dense_mean[j]) * dense_scale[j]);
  }
  if (sphere <= 0) return;
  double left = static_cast<double>(sphere) * sphere;
  for (size_t i = values.size() - dense_mean.size(); i < values.size(); ++i) {
    left -= static_cast<double>(values[i]) * values[i];
  }
  columns.push_back(static_cast<uint32_t>(idf.size() + dense_mean.size()));
  values.push_back(static_cast<float>(std::sqrt(std::max(left, 0.0))));
}

void FeatureWeighting::AppendTo(std::vector<SafetensorsTensor>& tensors,
                                std::map<std::string, std::string>& metadata) const {
  metadata["buckets"] = absl::StrCat(buckets);
  metadata["fold_shift"] = absl::StrCat(fold_shift);
  if (!idf.empty()) tensors.push_back({"idf", {static_cast<int64_t>(idf.size())}, idf});
  if (dense_mean.empty()) return;
  const int64_t dense = static_cast<int64_t>(dense_mean.size());
  tensors.push_back({"dense_mean", {dense}, dense_mean});
  tensors.push_back({"dense_scale", {dense}, dense_scale});
  if (sphere > 0) tensors.push_back({"sphere", {1}, {sphere}});
}

absl::StatusOr<FeatureWeighting> FeatureWeighting::FromTensors(const Safetensors& file,
                                                               const std::string& path) {
  FeatureWeighting result;
  const auto number = [&file](const char* name, uint32_t most, uint32_t& value) {
    const auto found = file.metadata().find(name);
    return found != file.metadata().end() && absl::SimpleAtoi(found->second, &value) &&
           value <= most;
  };
  uint32_t buckets = 0;
  if (!number("buckets", 1u << 24, buckets) || !number("fold_shift", 16, result.fold_shift) ||
      buckets % (1u << result.fold_shift) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": metadata \"buckets\" and \"fold_shift\" are not numbers, the first at most 2^24 "
        "and a multiple of 2^fold_shift"));
  }
  result.buckets = buckets;
  if (buckets > 0) {
    PENSTOCK_ASSIGN_OR_RETURN(
        result.idf, file.Floats("idf", {static_cast<int64_t>(buckets >> result.fold_shift)}));
  }
  if (file.Find("dense_mean") != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(result.dense_mean, file.Floats("dense_mean", {-1}));
    PENSTOCK_ASSIGN_OR_RETURN(
        result.dense_scale,
        file.Floats("dense_scale", {static_cast<int64_t>(result.dense_mean.size())}));
  }
  if (file.Find("sphere") != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> sphere, file.Floats("sphere", {1}));
    if (!(sphere[0] > 0) || !std::isfinite(sphere[0])) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": sphere is not above 0"));
    }
    result.sphere = sphere[0];
  }
  return result;
}

}  // namespace penstock::router
