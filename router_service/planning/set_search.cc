#include "router_service/planning/set_search.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <queue>
#include <utility>
#include <vector>

#include "router_service/planning/set_relaxation.h"

namespace penstock::router {
namespace {

// New bounds: many at the root, where they serve everywhere, few elsewhere.
constexpr size_t kRootRounds = 60;
constexpr size_t kNodeRounds = 2;
// Sums of 2,048 terms differ by some 1e-13 with their order.
constexpr double kRounding = 1e-12;

struct Node {
  SetBox box;
  double bound = 0;
  uint64_t sequence = 0;
};

struct LowerBoundFirst {
  // The heap's top is the largest bound, ties to the older node.
  bool operator()(const Node& a, const Node& b) const {
    return a.bound != b.bound ? a.bound < b.bound : a.sequence > b.sequence;
  }
};

class Search {
 public:
  Search(SetProblem& problem, const SetSearchLimits& limits, const Clock& clock)
      : problem_(problem),
        limits_(limits),
        clock_(clock),
        deadline_(clock.Now() + limits.time),
        relaxation_(problem) {}

  SetSearchResult Run(const SetBox& root, const std::optional<ExpertSet>& warm_start) {
    result_.best = root.in;
    result_.value = problem_.Value(root.in);
    if (warm_start.has_value()) {
      const ExpertSet start = *warm_start & root.allowed;
      if (start.Contains(root.in) && problem_.Feasible(start)) Offer(start);
    }
    Offer(problem_.Improve(root, root.in));
    if (!(result_.best == root.in)) Offer(problem_.Improve(root, result_.best));

    std::vector<double> share(problem_.experts(), 0.0);
    result_.best.ForEach([&share](size_t expert) { share[expert] = 1; });
    relaxation_.Add(share);
    root.allowed.ForEach([&share](size_t expert) { share[expert] = 1; });
    relaxation_.Add(share);
    const SetRelaxation::Result first = relaxation_.Tighten(root, kRootRounds, Enough());
    Round(root, first.share);
    Push(root, first.value);
    while (!open_.empty()) {
      if (open_.top().bound <= Enough()) break;
      if (result_.nodes >= limits_.nodes) return Finish(SearchEnd::kNodeLimit);
      if (clock_.Now() >= deadline_) return Finish(SearchEnd::kTimeLimit);
      Node node = open_.top();
      open_.pop();
      ++result_.nodes;
      Expand(node);
    }
    open_ = {};
    return Finish(SearchEnd::kProven);
  }

 private:
  double Enough() const {
    return result_.value + limits_.tolerance + kRounding * std::max(1.0, std::abs(result_.value));
  }

  void Offer(const ExpertSet& set) {
    const double value = problem_.Value(set);
    if (value <= result_.value) return;
    result_.value = value;
    result_.best = set;
  }

  void Push(const SetBox& box, double bound) {
    if (bound > Enough()) open_.push({box, bound, sequence_++});
  }

  SetSearchResult Finish(SearchEnd end) {
    result_.end = end;
    // Boxes were closed at up to `tolerance` above the best.
    result_.bound = result_.value + limits_.tolerance;
    if (!open_.empty()) result_.bound = std::max(result_.bound, open_.top().bound);
    return result_;
  }

  // Takes out what can never be added. True if the box is settled: its largest set is feasible.
  bool Reduce(SetBox& box) {
    (box.allowed - box.in).ForEach([&](size_t expert) {
      if (!problem_.Feasible(box.in.With(expert))) box.allowed.Remove(expert);
    });
    if (box.allowed == box.in) {
      Offer(box.in);
      return true;
    }
    if (problem_.Monotone() && problem_.Feasible(box.allowed)) {
      Offer(box.allowed);
      return true;
    }
    return false;
  }

  void Expand(Node& node) {
    SetBox& box = node.box;
    if (!problem_.Feasible(box.in) || Reduce(box)) return;
    const SetRelaxation::Result relaxed = relaxation_.Tighten(box, kNodeRounds, Enough());
    const double bound = std::min(relaxed.value, node.bound);
    if (bound <= Enough()) return;
    Round(box, relaxed.share);
    if (bound <= Enough() || Fix(box, relaxed.bound)) return;
    Branch(box, bound, relaxed);
  }

  // Experts that no set better than the best can have, or be without. True if the box is settled.
  bool Fix(SetBox& box, const SetBound& bound) {
    const std::vector<SetRow> rows = problem_.Rows(box);
    bool changed = false;
    (box.allowed - box.in).ForEach([&](size_t expert) {
      SetBox with = box, without = box;
      with.in.Add(expert);
      without.allowed.Remove(expert);
      if (SetRelaxation::Largest(bound, with, rows) <= Enough()) {
        box = without;
        changed = true;
      } else if (SetRelaxation::Largest(bound, without, rows) <= Enough()) {
        box = with;
        changed = true;
      }
    });
    if (!changed) return false;
    if (!problem_.Feasible(box.in)) return true;
    return Reduce(box) || SetRelaxation::Largest(bound, box, rows) <= Enough();
  }

  // A feasible set after the relaxation's fractional one.
  void Round(const SetBox& box, const std::vector<double>& share) {
    std::vector<size_t> free = (box.allowed - box.in).Members();
    std::stable_sort(free.begin(), free.end(),
                     [&share](size_t a, size_t b) { return share[a] > share[b]; });
    ExpertSet set = box.in;
    for (const size_t expert : free) {
      if (share[expert] <= 0) break;
      if (problem_.Feasible(set.With(expert))) set.Add(expert);
    }
    if (set == rounded_) return;
    rounded_ = set;
    // Exchanges are tried only from sets that are close.
    const double value = problem_.Value(set);
    if (value > result_.value) Offer(set);
    if (value > result_.value - 0.5 * OpenGap()) Offer(problem_.Improve(box, set));
  }
  double OpenGap() const {
    return open_.empty() ? 0 : std::max(0.0, open_.top().bound - result_.value);
  }

  void Branch(const SetBox& box, double bound, const SetRelaxation::Result& by) {
    const std::vector<SetRow> rows = problem_.Rows(box);
    double best_score = -1;
    SetBox best_with, best_without;
    double best_bounds[2] = {bound, bound};
    (box.allowed - box.in).ForEach([&](size_t expert) {
      SetBox with = box, without = box;
      with.in.Add(expert);
      without.allowed.Remove(expert);
      const double bounds[2] = {std::min(bound, SetRelaxation::Largest(by.bound, with, rows)),
                                std::min(bound, SetRelaxation::Largest(by.bound, without, rows))};
      // Both children should be worse than their parent; the product wants both (Achterberg, Koch
      // and Martin: Branching rules revisited, Oper. Res. Lett. 33, 2005).
      constexpr double kLittle = 1e-9;
      const double score =
          std::max(bound - bounds[0], kLittle) * std::max(bound - bounds[1], kLittle);
      if (score <= best_score) return;
      best_score = score;
      best_with = with;
      best_without = without;
      best_bounds[0] = bounds[0];
      best_bounds[1] = bounds[1];
    });
    Push(best_with, best_bounds[0]);
    Push(best_without, best_bounds[1]);
  }

  SetProblem& problem_;
  const SetSearchLimits& limits_;
  const Clock& clock_;
  const absl::Time deadline_;
  SetSearchResult result_;
  SetRelaxation relaxation_;
  std::priority_queue<Node, std::vector<Node>, LowerBoundFirst> open_;
  uint64_t sequence_ = 0;
  ExpertSet rounded_;
};

}  // namespace

absl::string_view SearchEndName(SearchEnd end) {
  switch (end) {
    case SearchEnd::kProven:
      return "proven";
    case SearchEnd::kNodeLimit:
      return "node limit";
    case SearchEnd::kTimeLimit:
      return "time limit";
  }
  return "";
}

SetSearchResult SearchSets(SetProblem& problem, const SetBox& root,
                           const std::optional<ExpertSet>& warm_start,
                           const SetSearchLimits& limits, const Clock& clock) {
  return Search(problem, limits, clock).Run(root, warm_start);
}

}  // namespace penstock::router
