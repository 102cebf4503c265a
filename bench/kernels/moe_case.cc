#include "bench/kernels/moe_case.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/kernels/random_floats.h"

namespace penstock::kernels {
namespace {

std::vector<float> Random(int64_t count, uint32_t seed, float scale) {
  return RandomFloats(count, seed, -scale, scale);
}

}  // namespace

MoeCase::MoeCase(const MoeShape& shape, WeightFormat format, int64_t group) : shape_(shape) {
  std::vector<PackedGatedMlp> experts;
  const float scale = 1 / std::sqrt(static_cast<float>(shape.d));
  for (int64_t e = 0; e < shape.experts; ++e) {
    const auto seed = static_cast<uint32_t>(2 * e + 1);
    experts.emplace_back(
        PackedLinear(Random(2 * shape.f * shape.d, seed, scale).data(), nullptr, shape.d,
                     2 * shape.f, format, group),
        PackedLinear(Random(shape.d * shape.f, seed + 1, scale).data(), nullptr, shape.f, shape.d,
                     format, group),
        nullptr, Activation::kSwiGlu, false);
  }
  moe_ = PackedMoe(std::move(experts));
}

void MoeCase::SetRows(int64_t rows_per_expert) {
  rows_ = rows_per_expert * shape_.experts;
  const auto rows = static_cast<size_t>(rows_), experts = static_cast<size_t>(shape_.experts);
  x_ = Random(rows_ * shape_.d, 1000, 1);
  y_.assign(rows * static_cast<size_t>(shape_.d), std::numeric_limits<float>::quiet_NaN());
  weights_.assign(rows, 1.0f);
  ids_.resize(rows);
  for (size_t i = 0; i < rows; ++i) ids_[i] = static_cast<int32_t>(i % experts);
  counts_.resize(experts);
  offsets_.resize(experts + 1);
  src_.resize(rows);
  dst_.resize(rows);
  workspace_.resize(MoeFfnWorkspaceBytes(moe_.weights(), rows_, 1));
}

Status MoeCase::Run(const MoeFfnImpl& impl) {
  const PlanView plan = {counts_.data(), offsets_.data(), src_.data(), dst_.data()};
  const Status status = RoutePlan({rows_, 1, shape_.experts, ids_.data(), plan});
  if (!status.ok()) return status;
  MoeFfnArgs args;
  args.w = moe_.weights();
  args.rows = rows_;
  args.k = 1;
  args.plan = plan;
  args.weights = weights_.data();
  args.x = x_.data();
  args.y = y_.data();
  args.workspace = {workspace_.data(), workspace_.size()};
  return impl.run(args);
}

double MoeCase::Error(const MoeFfnImpl& impl) {
  SetRows(1);
  rows_ = std::min<int64_t>(rows_, 3);  // the reference takes seconds a row
  if (!Run(MoeFfnImpls().back()).ok()) return std::numeric_limits<double>::infinity();
  const std::vector<float> expected(y_.begin(), y_.begin() + rows_ * shape_.d);
  if (!Run(impl).ok()) return std::numeric_limits<double>::infinity();
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double e = static_cast<double>(expected[i]);
    difference += (static_cast<double>(y_[i]) - e) * (static_cast<double>(y_[i]) - e);
    norm += e * e;
  }
  return std::sqrt(difference / norm);
}

double MoeCase::flops() const {
  return MoeFfnCost(rows_, shape_.experts, shape_.d, shape_.f, shape_.d).flops;
}

double MoeCase::bytes() const {
  return static_cast<double>(moe_.bytes()) +
         static_cast<double>(rows_) * 2 * static_cast<double>(shape_.d) * sizeof(float);
}

}  // namespace penstock::kernels
