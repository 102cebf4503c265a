#include "router_service/gating/sparse/comet_gate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/gating/weights/tree_descent.h"

namespace penstock::router {
namespace {

// log(e^a + e^b) of b finite.
double LogAdd(double a, double b) {
  return std::max(a, b) + std::log1p(std::exp(-std::abs(a - b)));
}

// Experts of the leaves, which must be a permutation per tree.
absl::StatusOr<std::vector<size_t>> LeafExperts(const GateFile& file, size_t trees) {
  const size_t n = file.experts();
  PENSTOCK_ASSIGN_OR_RETURN(
      const std::vector<float> values,
      file.Tensor("leaf_expert", {static_cast<int64_t>(trees), static_cast<int64_t>(n)}));
  std::vector<size_t> experts;
  for (size_t tree = 0; tree < trees; ++tree) {
    std::vector<bool> seen(n, false);
    for (size_t leaf = 0; leaf < n; ++leaf) {
      const float value = values[tree * n + leaf];
      const size_t expert =
          value >= 0 && value < static_cast<float>(n) ? static_cast<size_t>(value) : n;
      if (expert == n || static_cast<float>(expert) != value || seen[expert]) {
        return file.Refused(absl::StrCat("leaf_expert of tree ", tree, " has ", value, " at leaf ",
                                         leaf, ", wanted each of 0 to ", n - 1, " once"));
      }
      seen[expert] = true;
      experts.push_back(file.pool_of()[expert]);
    }
  }
  return experts;
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Gate>> CometGate::Create(
    const config::v1::Comet& config, const std::vector<std::string>& expert_names,
    size_t feature_dimension) {
  PENSTOCK_ASSIGN_OR_RETURN(const GateFile file,
                            GateFile::Open(config.file(), "comet", expert_names));
  const int64_t n = static_cast<int64_t>(file.experts());
  PENSTOCK_ASSIGN_OR_RETURN(LinearHeads scores, file.Heads("leaves", {-1, n}, feature_dimension));
  if (scores.shape[0] < 1) return file.Refused("tensor leaves has no tree, wanted at least 1");
  const size_t trees = static_cast<size_t>(scores.shape[0]);
  PENSTOCK_ASSIGN_OR_RETURN(LinearHeads nodes,
                            file.Heads("nodes", {scores.shape[0], n - 1}, feature_dimension));
  const size_t k = config.has_k() ? config.k() : std::min(trees, expert_names.size());
  auto gate = absl::WrapUnique(new CometGate(expert_names.size(), feature_dimension, k));
  PENSTOCK_ASSIGN_OR_RETURN(gate->width_, file.Scalar("width"));
  if (!(gate->width_ > 0)) {
    return file.Refused(absl::StrCat("width is ", gate->width_, ", wanted above 0"));
  }
  PENSTOCK_ASSIGN_OR_RETURN(gate->leaf_expert_, LeafExperts(file, trees));
  gate->trees_ = trees;
  gate->leaves_ = file.experts();
  gate->nodes_ = std::move(nodes);
  gate->scores_ = std::move(scores);
  return std::unique_ptr<const Gate>(std::move(gate));
}

size_t CometGate::ExpertAt(size_t tree, size_t leaf, absl::Span<const uint8_t> admissible) const {
  const size_t expert = leaf_expert_[tree * leaves_ + leaf];
  return expert != GateFile::kNobody && Admits(admissible, expert) ? expert : GateFile::kNobody;
}

bool CometGate::Descend(size_t tree, bool detour, absl::Span<const float> z,
                        absl::Span<const uint8_t> admissible, absl::Span<double> scores) const {
  std::vector<uint8_t> open;
  if (detour) {
    open.assign(2 * leaves_ - 1, 0);
    for (size_t v = open.size(); v-- > 0;) {
      open[v] = v >= leaves_ - 1
                    ? ExpertAt(tree, v - (leaves_ - 1), admissible) != GateFile::kNobody
                    : open[2 * v + 1] || open[2 * v + 2];
    }
  }
  bool reached = false;
  DescendTree(
      leaves_, width_, [&](size_t v) { return nodes_.Score(tree * (leaves_ - 1) + v, z); },
      [&](size_t v) { return open.empty() || open[v] != 0; },
      [&](size_t leaf, double log_probability) {
        const size_t expert = ExpertAt(tree, leaf, admissible);
        if (expert == GateFile::kNobody) return;
        reached = true;
        scores[expert] =
            LogAdd(scores[expert], log_probability + scores_.Score(tree * leaves_ + leaf, z));
      });
  return reached;
}

void CometGate::Fill(absl::Span<const float> z, absl::Span<const uint8_t> admissible,
                     absl::Span<double> scores) const {
  bool reached = false;
  for (size_t tree = 0; tree < trees_; ++tree) {
    reached |= Descend(tree, false, z, admissible, scores);
  }
  for (size_t tree = 0; tree < trees_ && !reached; ++tree) {
    Descend(tree, true, z, admissible, scores);
  }
}

}  // namespace penstock::router
