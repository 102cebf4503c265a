#include "kernels/device/simd_avx2.h"
#include "kernels/lora_mix/lora_mix.h"
#include "kernels/lora_mix/lora_mix_rows.h"

namespace penstock::kernels {

Status LoraMixAvx2(const LoraMixArgs& args) { return LoraMixRows(args, LinearAvx2); }

}  // namespace penstock::kernels
