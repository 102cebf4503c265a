#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/device/workspace.h"

namespace penstock::kernels {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInf = std::numeric_limits<float>::infinity();

// float32 accumulates in some order; float64 is exact beside it. A chain of 1024 roundings of 6e-8
// drifts by about sqrt(1024) * 6e-8 = 2e-6.
inline constexpr double kTolerance = 1e-5;

// Runs each test once per entry of an op's table, by name.
template <typename Impl, std::span<const Impl> (*kTable)()>
class KernelTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    for (const Impl& impl : kTable()) {
      if (impl.name == GetParam()) impl_ = &impl;
    }
    ASSERT_NE(impl_, nullptr);
    if (!impl_->supported()) GTEST_SKIP() << "this machine or build has no " << GetParam();
  }

  // The float64 yardstick of the same table.
  const Impl& reference() const { return kTable().back(); }
  const Impl& impl() const { return *impl_; }

 private:
  const Impl* impl_ = nullptr;
};

template <typename Impl>
std::vector<std::string> Names(std::span<const Impl> impls) {
  std::vector<std::string> names;
  for (const Impl& impl : impls) names.emplace_back(impl.name);
  return names;
}

inline std::string ParamName(const testing::TestParamInfo<std::string>& info) { return info.param; }

inline std::vector<float> RandomFloats(int64_t count, uint32_t seed, float scale = 1.0f) {
  std::mt19937 bits(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = normal(bits);
  return values;
}

inline std::vector<float> Poison(int64_t count) {
  return std::vector<float>(static_cast<size_t>(count), kNan);
}

// Relative Frobenius norm of the difference; infinite where anything is not finite or sizes differ.
inline double RelativeError(const std::vector<float>& actual, const std::vector<float>& expected) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double difference = 0, norm = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double a = static_cast<double>(actual[i]), e = static_cast<double>(expected[i]);
    difference += (a - e) * (a - e);
    norm += e * e;
  }
  if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
  return difference == 0 ? 0 : std::sqrt(difference / norm);
}

inline bool SameBits(const float* a, const float* b, int64_t count) {
  return count == 0 || std::memcmp(a, b, static_cast<size_t>(count) * sizeof(float)) == 0;
}

// Workspace of exactly `bytes`, off any alignment but float's, poisoned, with a guard behind it.
class GuardedWorkspace {
 public:
  explicit GuardedWorkspace(size_t bytes)
      : memory_(bytes / sizeof(float) + 1 + kGuard, kNan), bytes_(bytes) {}

  Workspace get() { return {memory_.data() + 1, bytes_}; }
  bool GuardIntact() const {
    const std::vector<float> guard(kGuard, kNan);
    return SameBits(memory_.data() + 1 + bytes_ / sizeof(float), guard.data(), kGuard);
  }

 private:
  static constexpr int64_t kGuard = 64;
  std::vector<float> memory_;
  size_t bytes_;
};

}  // namespace penstock::kernels
