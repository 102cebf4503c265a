#include "kernels/device/simd_avx512.h"
#include "kernels/lora_mix/lora_mix.h"
#include "kernels/lora_mix/lora_mix_rows.h"

namespace penstock::kernels {

Status LoraMixAvx512(const LoraMixArgs& args) { return LoraMixRows(args, LinearAvx512); }

}  // namespace penstock::kernels
