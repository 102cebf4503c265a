#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "kernels/device/device_buffer.h"
#include "kernels/moe_ffn/cuda/device_moe.h"
#include "tests/kernels/kernel_test.h"

namespace penstock::kernels {

struct MoeShape {
  int64_t rows, k, experts, d, f, o;
};

// Experts of random bfloat16 weights.
inline std::shared_ptr<const PackedMoe> RandomBf16Moe(const MoeShape& s, Activation activation) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(s.d));
  std::vector<PackedGatedMlp> all;
  for (int64_t e = 0; e < s.experts; ++e) {
    const auto seed = static_cast<uint32_t>(10 * e);
    all.emplace_back(PackedLinear(RandomFloats(2 * s.f * s.d, seed + 1, scale).data(), nullptr, s.d,
                                  2 * s.f, WeightFormat::kBf16),
                     PackedLinear(RandomFloats(s.o * s.f, seed + 2, scale).data(), nullptr, s.f,
                                  s.o, WeightFormat::kBf16),
                     nullptr, activation, false);
  }
  return std::make_shared<const PackedMoe>(std::move(all));
}

// A call of moe_ffn with bfloat16 weights and inputs that are bfloat16 exactly.
struct MoeProblem {
  std::shared_ptr<const PackedMoe> moe;
  int64_t rows = 0;
  int64_t k = 0;
  std::vector<int32_t> ids;     // [rows, k]
  std::vector<float> weights;   // [rows, k]
  std::vector<float> x;         // [rows, d]
  std::vector<float> residual;  // [rows, o], or empty

  // Row t alone.
  MoeProblem Row(int64_t t) const {
    const auto part = [t](const auto& all, int64_t width) {
      return std::vector(all.begin() + t * width, all.begin() + (t + 1) * width);
    };
    const MoeWeights w = moe->weights();
    MoeProblem row = {moe, 1, k, part(ids, k), part(weights, k), part(x, w.d), {}};
    if (!residual.empty()) row.residual = part(residual, w.o);
    return row;
  }
};

// With a residual; some pairs go nowhere.
inline MoeProblem RandomProblem(const MoeShape& s, Activation activation = Activation::kSwiGlu) {
  MoeProblem problem = {RandomBf16Moe(s, activation),
                        s.rows,
                        s.k,
                        {},
                        RandomFloats(s.rows * s.k, 5),
                        RandomFloats(s.rows * s.d, 6, 2.0f),
                        RandomFloats(s.rows * s.o, 7)};
  std::mt19937 random(4);
  for (int64_t i = 0; i < s.rows * s.k; ++i) {
    problem.ids.push_back(static_cast<int32_t>(random() % static_cast<uint32_t>(s.experts + 1)) -
                          1);
  }
  for (float& v : problem.x) v = FromBf16(ToBf16(v));
  return problem;
}

// The plan of a problem's ids.
struct MoeRoutes {
  std::vector<int32_t> counts, offsets, src, dst;

  explicit MoeRoutes(const MoeProblem& problem)
      : counts(static_cast<size_t>(problem.moe->weights().count)),
        offsets(counts.size() + 1),
        src(problem.ids.size()),
        dst(problem.ids.size()) {
    EXPECT_TRUE(RoutePlanReference({problem.rows, problem.k, problem.moe->weights().count,
                                    problem.ids.data(), view()})
                    .ok());
  }
  PlanView view() { return {counts.data(), offsets.data(), src.data(), dst.data()}; }
};

inline std::vector<float> RunEntry(const MoeProblem& problem,
                                   const std::function<Status(const MoeFfnArgs&)>& entry) {
  const MoeWeights w = problem.moe->weights();
  MoeRoutes routes(problem);
  std::vector<float> y = Poison(problem.rows * w.o);
  GuardedWorkspace workspace(MoeFfnWorkspaceBytes(w, problem.rows, problem.k));
  const Status status = entry(
      {w, problem.rows, problem.k, routes.view(), problem.weights.data(), problem.x.data(),
       problem.residual.empty() ? nullptr : problem.residual.data(), y.data(), workspace.get()});
  EXPECT_TRUE(status.ok()) << status.message;
  return y;
}

inline std::vector<float> Reference(const MoeProblem& problem) {
  return RunEntry(problem, MoeFfnReference);
}

// A problem's operands on the current device; failures are the test's.
class DeviceProblem {
 public:
  explicit DeviceProblem(const MoeProblem& problem)
      : y_count_(problem.rows * problem.moe->weights().o) {
    const MoeWeights w = problem.moe->weights();
    MoeRoutes routes(problem);
    const Status status = moe_.Upload(w);
    EXPECT_TRUE(status.ok()) << status.message;
    const int64_t stride = moe_.layout().d_stride();
    std::vector<uint16_t> rounded(static_cast<size_t>(problem.rows * stride));
    for (int64_t t = 0; t < problem.rows; ++t) {
      for (int64_t i = 0; i < w.d; ++i) {
        rounded[static_cast<size_t>(t * stride + i)] =
            ToBf16(problem.x[static_cast<size_t>(t * w.d + i)]);
      }
    }
    args_.rows = problem.rows;
    args_.k = problem.k;
    args_.offsets = Put(&offsets_, routes.offsets);
    args_.src = Put(&src_, routes.src);
    args_.dst = Put(&dst_, routes.dst);
    args_.weights = Put(&weights_, problem.weights);
    args_.x = Put(&x_, rounded);
    args_.x_stride = stride;
    args_.residual = problem.residual.empty() ? nullptr : Put(&residual_, problem.residual);
    args_.y = Put(&y_, Poison(y_count_));
    args_.workspace_bytes = MoeDeviceWorkspaceBytes(moe_.layout(), problem.rows, problem.k);
    EXPECT_TRUE(workspace_.Allocate(args_.workspace_bytes).ok());
    args_.workspace = workspace_.data();
  }

  const DeviceMoe& moe() const { return moe_; }
  const MoeDeviceArgs& args() const { return args_; }

  // Another plan of as many pairs, in the same memory.
  void SetRoutes(const MoeRoutes& routes) {
    const auto write = [](DeviceBuffer* buffer, const std::vector<int32_t>& values) {
      EXPECT_TRUE(buffer->Write(0, values.data(), buffer->bytes()).ok());
    };
    write(&offsets_, routes.offsets);
    write(&src_, routes.src);
    write(&dst_, routes.dst);
  }
  // Poisons y and the workspace.
  void Reset() {
    EXPECT_TRUE(y_.Write(0, Poison(y_count_).data(), y_.bytes()).ok());
    const std::vector<char> nan(workspace_.bytes(), '\xFF');
    EXPECT_TRUE(workspace_.Write(0, nan.data(), nan.size()).ok());
  }
  // After everything in the default stream, and in streams that wait for it.
  std::vector<float> Result() const {
    std::vector<float> y(static_cast<size_t>(y_count_));
    const Status status = y_.Read(0, y.data(), y_.bytes());
    EXPECT_TRUE(status.ok()) << status.message;
    return y;
  }

  std::vector<float> Run(const MoeTiling& tiling) {
    Reset();
    MoeDeviceArgs args = args_;
    args.tiling = tiling;
    const Status status = MoeFfnOnDevice(moe_, args);
    EXPECT_TRUE(status.ok()) << status.message;
    return Result();
  }

 private:
  template <typename T>
  static T* Put(DeviceBuffer* buffer, const std::vector<T>& values) {
    const size_t bytes = values.size() * sizeof(T);
    EXPECT_TRUE(buffer->Allocate(bytes).ok());
    EXPECT_TRUE(buffer->Write(0, values.data(), bytes).ok());
    return static_cast<T*>(buffer->data());
  }

  DeviceMoe moe_;
  int64_t y_count_;
  DeviceBuffer offsets_, src_, dst_, weights_, x_, residual_, y_, workspace_;
  MoeDeviceArgs args_;
};

}  // namespace penstock::kernels
