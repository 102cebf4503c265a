#pragma once

#include <cstdint>
#include <memory>

namespace penstock::kernels {

// The same mixture of experts by oneDNN: per expert three matrix products with weights in the layout
// that oneDNN prefers, SwiGLU within the first two (swish and a product, as post-ops), one core.
// What a service built on it would run.
class OneDnnMoe {
 public:
  // bf16: weights and inputs in bfloat16, sums in float32; else float32. Null where this build has
  // no oneDNN, or where it does not do bfloat16 on this CPU.
  static std::unique_ptr<OneDnnMoe> Create(int64_t experts, int64_t d, int64_t f, bool bf16);
  ~OneDnnMoe();

  void SetRows(int64_t rows_per_expert);
  void Run();

 private:
  struct Parts;
  explicit OneDnnMoe(std::unique_ptr<Parts> parts);
  const std::unique_ptr<Parts> parts_;
};

}  // namespace penstock::kernels
