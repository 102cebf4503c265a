#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/tensors/infer_message.h"
#include "tests/support/temp_dir.h"

namespace penstock {

// Numbers in (-scale, scale) that depend on the seed alone.
std::vector<float> TestFloats(uint64_t seed, size_t count, float scale);

// Models that a test writes into a repository for a real expert service.
// `name`: linear, x FP32 [4] -> y FP32 [2].
void WriteTinyModel(const TempDir& repository, const std::string& name);
// `name`: x FP32 [4] -> y FP32 [2] by way of a wide gated MLP that takes a few tenths of a second
// for kSlowRows rows. At most `max_queue` requests wait.
inline constexpr int64_t kSlowRows = 2048;
void WriteSlowModel(const TempDir& repository, const std::string& name, int max_queue);

// A request of x FP32 [rows, 4].
InferRequest TinyRequest(const std::string& pool, int64_t rows = 1);

}  // namespace penstock
