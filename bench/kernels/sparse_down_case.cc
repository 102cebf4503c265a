// At which density does leaving out zeros pay, and what does it cost where there are none?

#include "kernels/sparse_down/sparse_down.h"

#include <random>

#include "bench/kernels/op_cases.h"
#include "bench/kernels/random_floats.h"
#include "kernels/linear/linear.h"

namespace penstock::kernels {
namespace {

constexpr int64_t kF = 8192, kD = 2048;

}  // namespace

nlohmann::ordered_json SparseDownRows(const OpOptions& options) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  const std::vector<float> w = RandomFloats(kF * kD, 1, -1, 1);
  std::vector<float> transposed(w.size());
  for (int64_t j = 0; j < kF; ++j) {
    for (int64_t c = 0; c < kD; ++c) {
      transposed[static_cast<size_t>(c * kF + j)] = w[static_cast<size_t>(j * kD + c)];
    }
  }
  const AlignedBuffer by_input = AlignedFloats(w);
  const PackedLinear dense(transposed.data(), nullptr, kF, kD);
  for (const std::string& isa : options.isas) {
    const SparseDownImpl* impl = SupportedImpl(SparseDownImpls(), isa);
    const LinearImpl* dense_impl = SupportedImpl(LinearImpls(), isa);
    if (impl == nullptr || dense_impl == nullptr) {
      rows.push_back(SkippedRow("sparse_down", isa));
      continue;
    }
    for (const int64_t batch : {1, 4}) {
      for (const double density : {0.1, 0.25, 0.5, 1.0}) {
        std::vector<float> h = RandomFloats(batch * kF, 2, 0.5f, 1);
        std::minstd_rand bits(3);
        for (float& v : h) {
          if (std::generate_canonical<double, 30>(bits) >= density) v = 0;
        }
        std::vector<float> y(static_cast<size_t>(batch * kD));
        LinearArgs dense_args;
        dense_args.w = dense.weights();
        dense_args.rows = batch;
        dense_args.x = h.data();
        dense_args.y = y.data();
        const std::vector<double> best = BestSeconds(options.rounds, 2, [&](size_t form) {
          const bool done =
              form == 0
                  ? impl->run({batch, kF, kD, 0, h.data(), by_input.floats(), y.data(), nullptr}).ok()
                  : dense_impl->run(dense_args).ok();
          if (!done) std::abort();
        });
        rows.push_back({{"op", "sparse_down"},
                        {"isa", isa},
                        {"f", kF},
                        {"d", kD},
                        {"rows", batch},
                        {"density", density},
                        {"seconds", best[0]},
                        {"dense_seconds", best[1]}});
      }
    }
  }
  return rows;
}

}  // namespace penstock::kernels
