#pragma once

#include <cstdint>

namespace penstock::kernels {

enum class Code : uint8_t { kOk, kInvalidArgument, kUnsupported, kDeviceError };

// An aggregate: the SIMD files build one without calling an inline function.
struct [[nodiscard]] Status {
  Code code = Code::kOk;
  const char* message = "";  // static storage

  bool ok() const { return code == Code::kOk; }
};

}  // namespace penstock::kernels
