#pragma once

#include "kernels/combine/combine.h"
#include "kernels/gated_mlp/gated_mlp_segments.h"
#include "kernels/moe_ffn/moe_ffn.h"

namespace penstock::kernels {

// What the SIMD entries share: rows grouped by expert, gated MLPs, combine.
Status MoeFfnExperts(const MoeFfnArgs& args, const GatedMlpEntries& mlp,
                     Status (*combine)(const CombineArgs&));

}  // namespace penstock::kernels
