#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "penstock/config/v1/model.pb.h"

namespace penstock::expert {

// The mixture-of-experts layers of a checkpoint as its config.json describes them. Tensors of layer
// l are named model.layers.<l>.<block>.gate.weight, ....experts.<e>.<gate>.weight and so on.
struct HfMoe {
  std::string family;  // model_type
  std::string block;   // "mlp"
  std::string gate;    // names of an expert's matrices
  std::string up;
  std::string down;

  int64_t layers = 0;
  int64_t hidden = 0;
  int64_t experts = 0;
  int64_t top_k = 0;
  int64_t width = 0;         // of an expert's hidden vector
  int64_t shared_width = 0;  // of the shared expert's; 0: there is none
  bool renormalize = true;   // weights of the chosen sum to 1
  config::v1::Activation activation = config::v1::SWIGLU;
  double eps = 0;  // of the norm before the layer

  int64_t sparse_step = 1;       // layer l has experts where sparse_step divides l + 1 ...
  std::set<int64_t> dense_only;  // ... and l is not one of these

  bool HasExperts(int64_t layer) const {
    return (layer + 1) % sparse_step == 0 && dense_only.count(layer) == 0;
  }
};

// The model_types that are understood.
std::vector<std::string> HfFamilies();

// INVALID_ARGUMENT names the field, what was wanted and what there is.
absl::StatusOr<HfMoe> ParseHfConfig(const nlohmann::json& config);
// <folder>/config.json.
absl::StatusOr<HfMoe> ReadHfConfig(const std::string& folder);

}  // namespace penstock::expert
