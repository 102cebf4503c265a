#pragma once

#include "kernels/moe_ffn/cuda/device_moe.h"
#include "kernels/moe_ffn/cuda/expert_gemm.h"
#include "kernels/moe_ffn/cuda/expert_gemv.h"
#include "kernels/moe_ffn/cuda/token_rows.h"
#include "kernels/moe_ffn/cuda/token_tiles.h"

namespace penstock::kernels {

// The kernels of MoeFfnOnDevice, in order: what each gets, and the most items that it can find.
struct MoeSteps {
  TokenTilePlan tiles;
  ExpertProduct gate_up;
  ExpertProduct down;
  SlotSums sums;
  int64_t gate_up_items = 0;
  int64_t down_items = 0;
  int64_t sum_items = 0;
};

// `weights` as `layout` says. CheckMoeDevice must hold.
MoeSteps StepsOf(const ExpertLayout& layout, const char* weights, const MoeDeviceArgs& args);

}  // namespace penstock::kernels
