#include <cstdlib>
#include <string>

#include "common/tensors/safetensors.h"

// What is accepted must lie in the file and convert.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file =
      penstock::Safetensors::Parse(std::string(reinterpret_cast<const char*>(data), size));
  if (!file.ok()) return 0;
  size_t total = 0;
  for (const auto& [name, entry] : (*file)->entries()) {
    total += entry.data.size();
    const auto floats = (*file)->Floats(name, entry.shape);
    const bool is_float = entry.dtype == "F16" || entry.dtype == "BF16" || entry.dtype == "F32" ||
                          entry.dtype == "F64";
    if (floats.ok() != is_float) std::abort();
  }
  if (total > size) std::abort();
  return 0;
}
