#include "kernels/lora_mix/lora_mix.h"

#include <algorithm>

namespace penstock::kernels {
namespace {

constexpr LoraMixImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, LoraMixAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, LoraMixAvx2},
    {"reference", Isa::kReference, AlwaysSupported, LoraMixReference},
};

}  // namespace

PackedLora::PackedLora(std::span<const LoraAdapter> adapters, int64_t d_in, int64_t d_out) {
  int64_t ranks = 0;
  for (const LoraAdapter& adapter : adapters) {
    ranks += adapter.rank;
    end_.push_back(ranks);
    scale_.push_back(adapter.alpha / static_cast<float>(adapter.rank));
  }
  std::vector<float> down, up(static_cast<size_t>(d_out * ranks));
  int64_t first = 0;
  for (const LoraAdapter& adapter : adapters) {
    down.insert(down.end(), adapter.a, adapter.a + adapter.rank * d_in);
    for (int64_t n = 0; n < d_out; ++n) {
      std::copy_n(adapter.b + n * adapter.rank, adapter.rank, up.begin() + n * ranks + first);
    }
    first += adapter.rank;
  }
  down_ = PackedLinear(down.data(), nullptr, d_in, ranks);
  up_ = PackedLinear(up.data(), nullptr, ranks, d_out);
}

LoraBank PackedLora::bank() const {
  return {down_.weights(), up_.weights(), end_.data(), scale_.data(),
          static_cast<int64_t>(end_.size())};
}

size_t LoraMixLinearBytes(const LoraBank& bank, int64_t rows) {
  return std::max(LinearWorkspaceBytes(bank.down, rows), LinearWorkspaceBytes(bank.up, rows));
}

size_t LoraMixWorkspaceBytes(const LoraBank& bank, int64_t rows) {
  const int64_t block = std::min(rows, kLoraRowBlock);
  return kWorkspaceAlign + WorkspaceFloats(block * bank.down.out) + LoraMixLinearBytes(bank, block);
}

Cost LoraMixCost(const LoraBank& bank, int64_t rows) {
  const double m = static_cast<double>(rows),
               weights = static_cast<double>(bank.down.out) *
                         static_cast<double>(bank.down.in + bank.up.out);
  return {2 * m * weights,
          4 * (weights + m * static_cast<double>(bank.down.in + 2 * bank.up.out + bank.count))};
}

Status CheckLoraMix(const LoraMixArgs& args) {
  const LoraBank& bank = args.bank;
  if (args.rows < 0 || bank.count < 0 || bank.down.in < 0 || bank.down.out < 0 || bank.up.out < 0) {
    return {Code::kInvalidArgument, "lora_mix: negative size"};
  }
  if (bank.up.in != bank.down.out) {
    return {Code::kInvalidArgument, "lora_mix: both matrices must have the ranks of all adapters"};
  }
  if (args.rows == 0 || bank.count == 0 || bank.up.out == 0) return {};
  if (args.lambda == nullptr || args.y == nullptr || (bank.down.in > 0 && args.x == nullptr) ||
      bank.end == nullptr || bank.scale == nullptr) {
    return {Code::kInvalidArgument, "lora_mix: null operand"};
  }
  if (bank.up.bias != nullptr || bank.down.bias != nullptr) {
    return {Code::kInvalidArgument, "lora_mix: adapters have no bias"};
  }
  int64_t last = 0;
  for (int64_t a = 0; a < bank.count; ++a) {
    if (bank.end[a] < last) return {Code::kInvalidArgument, "lora_mix: ranks must ascend"};
    last = bank.end[a];
  }
  if (last != bank.down.out) {
    return {Code::kInvalidArgument, "lora_mix: both matrices must have the ranks of all adapters"};
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < LoraMixWorkspaceBytes(bank, args.rows)) {
    return {Code::kInvalidArgument, "lora_mix: workspace too small"};
  }
  return {};
}

std::span<const LoraMixImpl> LoraMixImpls() { return kImpls; }

Status LoraMix(const LoraMixArgs& args) { return ForOp(LoraMixImpls()).run(args); }

}  // namespace penstock::kernels
