// Is the chunkwise form of linear_attention faster than token after token?

#include "kernels/linear_attention/linear_attention.h"

#include <cmath>

#include "bench/kernels/op_cases.h"
#include "bench/kernels/random_floats.h"

namespace penstock::kernels {
namespace {

constexpr int64_t kHeads = 8;
// All tokens in one call; a call for each token, as decode does; blocks of tokens as products.
constexpr const char* kForms[] = {"recurrent", "by_token", "chunkwise"};

AlignedBuffer Random(int64_t count, uint32_t seed, float low, float high) {
  return AlignedFloats(RandomFloats(count, seed, low, high));
}

struct Case {
  const int64_t tokens, dim;
  const AlignedBuffer q, k, v, g, state, y, workspace;

  Case(int64_t count, int64_t size, float lowest_gate)
      : tokens(count),
        dim(size),
        q(Random(count * kHeads * size, 1, -1, 1)),
        k(Random(count * kHeads * size, 2, -1, 1)),
        v(Random(count * kHeads * size, 3, -1, 1)),
        g(Random(count * kHeads * size, 4, lowest_gate, 0)),
        state(sizeof(float) * static_cast<size_t>(kHeads * StateFloats(size, size))),
        y(q.bytes()),
        workspace(LinearAttentionWorkspaceBytes(size)) {}

  void Run(const LinearAttentionImpl& impl, size_t form) {
    const bool by_token = form == 1;
    LinearAttentionArgs args;
    args.sequences = 1;
    args.heads = kHeads;
    args.key_dim = args.value_dim = dim;
    args.q = q.floats();
    args.k = k.floats();
    args.v = v.floats();
    args.g = g.floats();
    args.state = state.floats();
    args.y = y.floats();
    args.form = form == 2 ? StateForm::kChunkwise : StateForm::kRecurrent;
    args.workspace = {workspace.data(), workspace.bytes()};
    const int64_t step = by_token ? 1 : tokens;
    for (int64_t t = 0; t < tokens; t += step) {
      const int64_t offsets[] = {t, t + step};
      args.offsets = offsets;
      if (!impl.run(args).ok()) std::abort();
    }
  }
};

// Relative Frobenius distance of the chunkwise from the recurrent form, gates down to -30 a token.
double FormError(const LinearAttentionImpl& impl, int64_t dim) {
  Case recurrent(1024, dim, -30), chunkwise(1024, dim, -30);
  recurrent.Run(impl, 0);
  chunkwise.Run(impl, 2);
  double difference = 0, norm = 0;
  for (size_t i = 0; i < recurrent.y.bytes() / sizeof(float); ++i) {
    const double expected = static_cast<double>(recurrent.y.floats()[i]);
    difference += std::pow(static_cast<double>(chunkwise.y.floats()[i]) - expected, 2);
    norm += expected * expected;
  }
  return std::sqrt(difference / norm);
}

}  // namespace

nlohmann::ordered_json LinearAttentionRows(const OpOptions& options) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::string& isa : options.isas) {
    const LinearAttentionImpl* impl = SupportedImpl(LinearAttentionImpls(), isa);
    if (impl == nullptr) {
      rows.push_back(SkippedRow("linear_attention", isa));
      continue;
    }
    for (const int64_t dim : {64, 128}) {
      const double error = FormError(*impl, dim);
      for (const int64_t tokens : {16, 32, 64, 256, 1024}) {
        Case c(tokens, dim, -0.1f);
        const std::vector<double> best = BestSeconds(
            options.rounds, std::size(kForms), [&](size_t form) { c.Run(*impl, form); });
        nlohmann::ordered_json row = {{"op", "linear_attention"},
                                      {"isa", isa},
                                      {"heads", kHeads},
                                      {"d", dim},
                                      {"tokens", tokens}};
        for (size_t form = 0; form < best.size(); ++form) {
          row[std::string(kForms[form]) + "_seconds"] = best[form];
        }
        row["relative_error"] = error;
        rows.push_back(row);
      }
    }
  }
  return rows;
}

}  // namespace penstock::kernels
