#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/tensors/infer_message.h"

namespace penstock {

inline constexpr int64_t kPixels = 784;

// The held-out images of examples/digits, fetched into build/digits where they are not there yet.
class HeldOutImages {
 public:
  // Empty where they cannot be had; `why` says why.
  static HeldOutImages Fetch(std::string& why);

  int64_t count() const { return static_cast<int64_t>(pixels_.size()) / kPixels; }
  // A request of `count` images from `first` on.
  InferRequest Request(const std::string& pool, int64_t first, int64_t count) const;

 private:
  std::vector<float> pixels_;
};

// examples/digits/NAME.
std::string DigitsFile(const std::string& name);
// Whether the gate, quality and cascade that `penstock train` writes are there.
bool HaveDigitsRouter();

// Skips the test where the images cannot be fetched; under CI=true fails it.
#define PENSTOCK_FETCH_OR_SKIP(images)                                       \
  std::string why_no_images;                                                 \
  const HeldOutImages images = HeldOutImages::Fetch(why_no_images);          \
  if ((images).count() == 0) {                                               \
    const char* ci = std::getenv("CI");                                      \
    if (ci != nullptr && std::string(ci) == "true") FAIL() << why_no_images; \
    GTEST_SKIP() << why_no_images;                                           \
  }                                                                          \
  static_assert(true)

}  // namespace penstock
