#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/tensors/safetensors.h"
#include "kernels/linear/linear.h"

namespace penstock::expert {

// A matrix [out, in] of a model's file. Formats without scales are a tensor NAME of dtype F32, BF16
// or F16. Formats with scales are three: tensor NAME.codes, U8 [out, ceil(in * bits / 8)], code k of
// an output at bit k * bits of its row, low bits first, zeros behind the last; tensor NAME.scales,
// F32 [out, groups]; and the format's name as metadata NAME.format.
struct StoredMatrix {
  int64_t out = 0;
  int64_t in = 0;
  kernels::WeightFormat format = kernels::WeightFormat::kF32;
  std::vector<float> weight;   // [out, in], of formats without scales
  kernels::CodedMatrix coded;  // of those with

  int64_t group() const { return coded.group; }
};

// Whether the file has the matrix in a format with scales.
bool IsCoded(const Safetensors& file, absl::string_view name);

// `out` -1: any. NOT_FOUND and INVALID_ARGUMENT name the tensor, what was wanted and what is there.
absl::StatusOr<StoredMatrix> ReadCoded(const Safetensors& file, absl::string_view name, int64_t out,
                                       int64_t in);
// Appends the tensors, and the metadata, of a matrix with scales.
void WriteCoded(const std::string& name, const kernels::CodedMatrix& coded,
                std::vector<SafetensorsTensor>& tensors,
                std::map<std::string, std::string>& metadata);

// The rows of one above those of the other. INVALID_ARGUMENT where they are stored differently;
// `what` names them.
absl::StatusOr<StoredMatrix> Stack(StoredMatrix upper, const StoredMatrix& lower,
                                   absl::string_view what);

// For the kernels. float16 that stays in a core's cache as float32 becomes that: no slower, and the
// same to the bit.
kernels::PackedLinear Pack(const StoredMatrix& matrix, const float* bias);

}  // namespace penstock::expert
