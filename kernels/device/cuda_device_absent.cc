#include "kernels/device/isa.h"

namespace penstock::kernels {

bool CudaDevicePresent() { return false; }

}  // namespace penstock::kernels
