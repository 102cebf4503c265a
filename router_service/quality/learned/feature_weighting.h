#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tensors/safetensors.h"
#include "router_service/features/feature_view.h"

namespace penstock::router {

// z as the sparse row that a learned model reads: the words weighted by inverse document frequency
// and scaled to length 1 together, then the dense features, centred and scaled.
struct FeatureWeighting {
  size_t buckets = 0;       // of the sparse part
  uint32_t fold_shift = 0;  // bucket >> fold_shift is its column: fewer columns than buckets
  std::vector<float> idf;   // [buckets >> fold_shift]
  std::vector<float> dense_mean, dense_scale;
  // Above 0: a last column lifts the dense features onto a sphere of this radius, where the row
  // with the largest cosine is the nearest one.
  float sphere = 0;

  size_t columns() const { return idf.size() + dense_mean.size() + (sphere > 0 ? 1 : 0); }
  bool CanRead(const FeatureView& z) const;
  // Overwrites; columns strictly ascending. z is one that CanRead.
  void Apply(const FeatureView& z, std::vector<uint32_t>& columns,
             std::vector<float>& values) const;

  // As a file has it.
  void AppendTo(std::vector<SafetensorsTensor>& tensors,
                std::map<std::string, std::string>& metadata) const;
  static absl::StatusOr<FeatureWeighting> FromTensors(const Safetensors& file,
                                                      const std::string& path);
};

}  // namespace penstock::router
