#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device/workspace.h"

namespace penstock::expert {

// Deals out the parts of a workspace, one behind the other; without one, counts what they take.
class ScratchParts {
 public:
  ScratchParts() = default;
  explicit ScratchParts(kernels::Workspace workspace) : workspace_(workspace) {}

  float* Floats(int64_t count) { return static_cast<float*>(Take(count)); }
  int32_t* Ints(int64_t count) { return static_cast<int32_t*>(Take(count)); }
  size_t bytes() const { return used_; }
  // What is behind the parts.
  kernels::Workspace Rest() const {
    return {static_cast<char*>(workspace_.data) + used_, workspace_.bytes - used_, workspace_.pool};
  }

 private:
  void* Take(int64_t count) {
    void* part = workspace_.data == nullptr ? nullptr : static_cast<char*>(workspace_.data) + used_;
    used_ += kernels::WorkspaceFloats(count);
    return part;
  }

  kernels::Workspace workspace_;
  size_t used_ = 0;
};

}  // namespace penstock::expert
