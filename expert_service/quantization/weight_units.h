#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tensors/safetensors.h"
#include "kernels/linear/weight_format.h"
#include "penstock/config/v1/model.pb.h"

namespace penstock::expert {

// Matrices of a model that are stored alike, since one product reads them: the weight of a linear
// block, gate and up of a gated MLP or of one expert of a moe block, the down of one.
struct WeightUnit {
  struct Member {
    std::string tensor;     // of the file
    int64_t expert = -1;    // a slice [expert] of it; -1: all of it
    std::string stored_as;  // StoredMatrix's name
  };
  std::string name;  // for people: "1.gate+up of expert 3"
  std::vector<Member> members;
  int64_t out = 0;  // of a member
  int64_t in = 0;

  int64_t weights() const { return static_cast<int64_t>(members.size()) * out * in; }
};

// What of a model can be stored in other formats: the matrices of its linear, gated_mlp and moe
// blocks; the routers of moe blocks stay as they are. INVALID_ARGUMENT where the file lacks one, or
// has it in a format with scales already.
absl::StatusOr<std::vector<WeightUnit>> WeightUnits(const config::v1::Model& config,
                                                    const Safetensors& file);

// How a unit is stored.
struct UnitFormat {
  kernels::WeightFormat format = kernels::WeightFormat::kInt4;
  int64_t group = 0;
};

// Codes and scales in the file.
int64_t UnitBytes(const WeightUnit& unit, const UnitFormat& format);

}  // namespace penstock::expert
