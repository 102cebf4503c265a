#include "kernels/catalogue/catalogue.h"

#include "kernels/associative_memory/associative_memory.h"
#include "kernels/block_gate/block_gate.h"
#include "kernels/block_pool/block_pool.h"
#include "kernels/block_sparse_attention/block_sparse_attention.h"
#include "kernels/causal_conv/causal_conv.h"
#include "kernels/channel_gate/channel_gate.h"
#include "kernels/channel_linear/channel_linear.h"
#include "kernels/combine/combine.h"
#include "kernels/compact_rows/compact_rows.h"
#include "kernels/exit_gate/exit_gate.h"
#include "kernels/gated_attention/gated_attention.h"
#include "kernels/gated_delta/gated_delta.h"
#include "kernels/gated_mlp/gated_mlp.h"
#include "kernels/gmu/gmu.h"
#include "kernels/linear/linear.h"
#include "kernels/linear_attention/linear_attention.h"
#include "kernels/lora_mix/lora_mix.h"
#include "kernels/moe_ffn/moe_ffn.h"
#include "kernels/permute/permute.h"
#include "kernels/prefix_ffn/prefix_ffn.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/route_plan/route_plan.h"
#include "kernels/route_topk/route_topk.h"
#include "kernels/scan_int8/scan_int8.h"
#include "kernels/sinkhorn_assign/sinkhorn_assign.h"
#include "kernels/softmax/softmax.h"
#include "kernels/sparse_down/sparse_down.h"
#include "kernels/value_mix/value_mix.h"

namespace penstock::kernels {
namespace {

template <typename Impl>
CatalogueOp Op(std::string_view name, std::span<const Impl> impls) {
  CatalogueOp op = {name, {}};
  const Impl& chosen = ForOp(impls);
  for (const Impl& impl : impls) {
    op.entries.push_back({impl.name, impl.isa, impl.supported(), &impl == &chosen});
  }
  return op;
}

}  // namespace

std::vector<CatalogueOp> Catalogue() {
  return {
      Op("associative_memory", AssociativeMemoryImpls()),
      Op("block_gate", BlockGateImpls()),
      Op("block_pool", BlockPoolImpls()),
      Op("block_sparse_attention", BlockSparseAttentionImpls()),
      Op("causal_conv", CausalConvImpls()),
      Op("channel_gate", ChannelGateImpls()),
      Op("channel_linear", ChannelLinearImpls()),
      Op("combine", CombineImpls()),
      Op("compact_rows", CompactRowsImpls()),
      Op("exit_gate", ExitGateImpls()),
      Op("gated_attention", GatedAttentionImpls()),
      Op("gated_delta", GatedDeltaImpls()),
      Op("gated_mlp", GatedMlpImpls()),
      Op("gmu", GmuImpls()),
      Op("linear", LinearImpls()),
      Op("linear_attention", LinearAttentionImpls()),
      Op("lora_mix", LoraMixImpls()),
      Op("moe_ffn", MoeFfnImpls()),
      Op("permute", PermuteImpls()),
      Op("prefix_ffn", PrefixFfnImpls()),
      Op("rms_norm", RmsNormImpls()),
      Op("route_plan", RoutePlanImpls()),
      Op("route_topk", RouteTopKImpls()),
      Op("scan_int8", ScanInt8Impls()),
      Op("sinkhorn_assign", SinkhornImpls()),
      Op("softmax", SoftmaxImpls()),
      Op("sparse_down", SparseDownImpls()),
      Op("value_mix", ValueMixImpls()),
  };
}

}  // namespace penstock::kernels
