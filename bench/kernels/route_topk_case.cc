// What does routing a token to 8 of 256 experts cost?

#include "kernels/route_topk/route_topk.h"

#include "bench/kernels/op_cases.h"
#include "bench/kernels/random_floats.h"

namespace penstock::kernels {
namespace {

constexpr int64_t kRows = 512;

struct Form {
  const char* name;
  RouteScore score;
  bool bias;
  int64_t groups, groups_kept;
};

constexpr Form kForms[] = {{"softmax", RouteScore::kSoftmax, false, 1, 1},
                           {"sigmoid+bias", RouteScore::kSigmoid, true, 1, 1},
                           {"sigmoid+bias, 4 of 8 groups", RouteScore::kSigmoid, true, 8, 4}};

}  // namespace

nlohmann::ordered_json RouteTopKRows(const OpOptions& options) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::string& isa : options.isas) {
    const RouteTopKImpl* impl = SupportedImpl(RouteTopKImpls(), isa);
    if (impl == nullptr) {
      rows.push_back(SkippedRow("route_topk", isa));
      continue;
    }
    for (const int64_t experts : {64, 128, 256}) {
      const std::vector<float> logits = RandomFloats(kRows * experts, 1, -4, 4);
      const std::vector<float> bias = RandomFloats(experts, 2, -0.2f, 0.2f);
      std::vector<int32_t> ids(kRows * 8);
      std::vector<float> weights(ids.size());
      const std::vector<double> best =
          BestSeconds(options.rounds, std::size(kForms), [&](size_t form) {
            RouteTopKArgs args;
            args.rows = kRows;
            args.experts = experts;
            args.k = 8;
            args.score = kForms[form].score;
            args.logits = logits.data();
            args.bias = kForms[form].bias ? bias.data() : nullptr;
            args.groups = kForms[form].groups;
            args.groups_kept = kForms[form].groups_kept;
            args.ids = ids.data();
            args.weights = weights.data();
            if (!impl->run(args).ok()) std::abort();
          });
      for (size_t form = 0; form < best.size(); ++form) {
        rows.push_back({{"op", "route_topk"},
                        {"isa", isa},
                        {"form", kForms[form].name},
                        {"experts", experts},
                        {"k", 8},
                        {"ns_per_row", best[form] / kRows * 1e9}});
      }
    }
  }
  return rows;
}

}  // namespace penstock::kernels
