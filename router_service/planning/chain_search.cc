#include "router_service/planning/chain_search.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

constexpr double kAlways = -std::numeric_limits<double>::infinity();
constexpr double kNever = std::numeric_limits<double>::infinity();

struct Contender {
  std::vector<ChainStage> stages;
  double quality = 0, cost = 0;
};

class Searcher {
 public:
  Searcher(const ChainSample& sample, absl::Span<const size_t> tuning,
           const ChainSearchOptions& options)
      : sample_(sample),
        rows_(tuning.begin(), tuning.end()),
        options_(options),
        quality_(sample.experts),
        cost_(sample.experts),
        by_score_(sample.experts) {
    for (size_t e = 0; e < sample.experts; ++e) {
      for (const size_t x : rows_) {
        quality_[e] += Quality(e, x);
        cost_[e] += Cost(e, x);
      }
      quality_[e] /= Count();
      cost_[e] /= Count();
      by_score_[e] = rows_;
      std::stable_sort(by_score_[e].begin(), by_score_[e].end(),
                       [&, e](size_t a, size_t b) { return Score(e, a) > Score(e, b); });
    }
  }

  double MeanCost(size_t expert) const { return cost_[expert]; }
  size_t evaluated() const { return evaluated_; }

  // The best of every chain, singles first.
  std::vector<Contender> Run() {
    std::vector<Contender> contenders;
    for (size_t e = 0; e < sample_.experts; ++e) {
      ++evaluated_;
      if (cost_[e] <= options_.budget && InTime({e})) {
        contenders.push_back({{{e, kAlways}}, quality_[e], cost_[e]});
      }
    }
    std::vector<size_t> usable;
    for (size_t e = 0; e < sample_.experts; ++e) {
      if (!Dominated(e)) usable.push_back(e);
    }
    for (const size_t first : usable) {
      // Every request pays for the first stage.
      if (options_.depth < 2 || cost_[first] > options_.budget) continue;
      for (const size_t second : usable) {
        if (second == first || !InTime({first, second})) continue;
        if (auto best = BestOfTwo(first, second)) contenders.push_back(Refine(*best));
        if (options_.depth < 3) continue;
        for (const size_t third : usable) {
          if (third == first || third == second || !InTime({first, second, third})) continue;
          if (auto best = BestOfThree(first, second, third)) contenders.push_back(Refine(*best));
        }
      }
    }
    return contenders;
  }

 private:
  double Quality(size_t e, size_t x) const { return sample_.quality[e * sample_.rows + x]; }
  double Cost(size_t e, size_t x) const { return sample_.cost[e * sample_.rows + x]; }
  double Score(size_t e, size_t x) const { return sample_.score[e * sample_.rows + x]; }
  double Count() const { return static_cast<double>(rows_.size()); }

  bool Dominated(size_t e) const {
    for (size_t other = 0; other < sample_.experts; ++other) {
      if (other == e || quality_[other] < quality_[e] || cost_[other] > cost_[e]) continue;
      // Of two alike the first stays.
      if (quality_[other] > quality_[e] || cost_[other] < cost_[e] || other < e) return true;
    }
    return false;
  }

  bool InTime(std::initializer_list<size_t> chain) const {
    if (sample_.latency_s.empty()) return true;
    double seconds = 0;
    for (const size_t e : chain) seconds += sample_.latency_s[e];
    return seconds <= options_.latency_limit_s;
  }

  // How many of `order` (by descending score of e) are accepted for the share i / grid, ties
  // included.
  size_t Accepted(size_t e, const std::vector<size_t>& order, size_t i) const {
    size_t count = order.size() * i / options_.grid;
    while (count > 0 && count < order.size() &&
           Score(e, order[count]) == Score(e, order[count - 1])) {
      ++count;
    }
    return count;
  }
  double ThresholdFor(size_t e, const std::vector<size_t>& order, size_t count) const {
    return count == 0 ? kNever : Score(e, order[count - 1]);
  }

  bool Offer(std::optional<Contender>& best, double quality, double cost,
             std::initializer_list<ChainStage> stages) {
    ++evaluated_;
    if (cost > options_.budget) return false;
    if (best.has_value() &&
        (quality < best->quality || (quality == best->quality && cost >= best->cost))) {
      return false;
    }
    best = Contender{stages, quality, cost};
    return true;
  }

  std::optional<Contender> BestOfTwo(size_t first, size_t second) {
    std::optional<Contender> best;
    const std::vector<size_t>& order = by_score_[first];
    double quality = quality_[second] * Count(), cost = (cost_[first] + cost_[second]) * Count();
    size_t done = 0;
    for (size_t i = 0; i < options_.grid; ++i) {
      const size_t count = Accepted(first, order, i);
      for (; done < count; ++done) {
        quality += Quality(first, order[done]) - Quality(second, order[done]);
        cost -= Cost(second, order[done]);
      }
      Offer(best, quality / Count(), cost / Count(),
            {{first, ThresholdFor(first, order, count)}, {second, kAlways}});
    }
    return best;
  }

  std::optional<Contender> BestOfThree(size_t first, size_t second, size_t third) {
    std::optional<Contender> best;
    const std::vector<size_t>& order = by_score_[first];
    std::vector<char> stopped(sample_.rows, 0);
    double stopped_quality = 0;
    size_t done = 0;
    std::vector<size_t> left;
    for (size_t i = 0; i < options_.grid; ++i) {
      const size_t count = Accepted(first, order, i);
      for (; done < count; ++done) {
        stopped_quality += Quality(first, order[done]);
        stopped[order[done]] = 1;
      }
      left.clear();
      double quality = stopped_quality, cost = cost_[first] * Count();
      for (const size_t x : by_score_[second]) {
        if (stopped[x] != 0) continue;
        left.push_back(x);
        quality += Quality(third, x);
        cost += Cost(second, x) + Cost(third, x);
      }
      if (left.empty()) break;
      size_t accepted = 0;
      // Accepted shares do not fall along the chain.
      for (size_t j = i; j < options_.grid; ++j) {
        const size_t until = Accepted(second, left, j);
        for (; accepted < until; ++accepted) {
          quality += Quality(second, left[accepted]) - Quality(third, left[accepted]);
          cost -= Cost(third, left[accepted]);
        }
        Offer(best, quality / Count(), cost / Count(),
              {{first, ThresholdFor(first, order, count)},
               {second, ThresholdFor(second, left, until)},
               {third, kAlways}});
      }
    }
    return best;
  }

  // Nelder and Mead on the finite thresholds, over-spending penalised; keeps the best that fits.
  Contender Refine(const Contender& start) {
    std::vector<size_t> free;
    for (size_t l = 0; l + 1 < start.stages.size(); ++l) {
      if (std::isfinite(start.stages[l].threshold)) free.push_back(l);
    }
    const size_t n = free.size();
    if (n == 0 || options_.refinements == 0) return start;
    Contender best = start;
    using Point = std::vector<double>;
    const auto loss = [&](const Point& point) {
      std::vector<ChainStage> stages = start.stages;
      for (size_t i = 0; i < n; ++i) stages[free[i]].threshold = point[i];
      const ChainFigures figures = RunChain(sample_, stages, rows_);
      ++evaluated_;
      if (figures.cost <= options_.budget && figures.quality > best.quality) {
        best = {stages, figures.quality, figures.cost};
      }
      constexpr double kPenalty = 1e3;
      const double over = std::max(0.0, figures.cost / options_.budget - 1);
      return -figures.quality + (over > 0 ? kPenalty * (over + 1e-3) : 0);
    };
    std::vector<std::pair<double, Point>> simplex;
    Point point;
    for (const size_t l : free) point.push_back(start.stages[l].threshold);
    simplex.emplace_back(loss(point), point);
    for (size_t i = 0; i < n; ++i) {
      Point moved = point;
      moved[i] += 0.02 * std::max(1e-3, std::abs(moved[i]));
      simplex.emplace_back(loss(moved), moved);
    }
    const auto less = [](const auto& a, const auto& b) { return a.first < b.first; };
    for (size_t step = 0; step < options_.refinements; ++step) {
      std::stable_sort(simplex.begin(), simplex.end(), less);
      Point centre(n, 0.0);
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) centre[j] += simplex[i].second[j] / static_cast<double>(n);
      }
      const auto along = [&](double factor) {
        Point p(n);
        for (size_t j = 0; j < n; ++j) {
          p[j] = centre[j] + factor * (simplex.back().second[j] - centre[j]);
        }
        return std::pair<double, Point>(loss(p), p);
      };
      auto next = along(-1);
      if (next.first < simplex.front().first) {
        auto further = along(-2);
        simplex.back() = further.first < next.first ? further : next;
      } else if (next.first < simplex[n - 1].first || next.first < simplex.back().first) {
        simplex.back() = next;
      } else {
        auto inside = along(0.5);
        if (inside.first < simplex.back().first) {
          simplex.back() = inside;
        } else {
          for (size_t i = 1; i <= n; ++i) {
            for (size_t j = 0; j < n; ++j) {
              simplex[i].second[j] = 0.5 * (simplex[i].second[j] + simplex.front().second[j]);
            }
            simplex[i].first = loss(simplex[i].second);
          }
        }
      }
    }
    return best;
  }

  const ChainSample& sample_;
  const std::vector<size_t> rows_;
  const ChainSearchOptions& options_;
  std::vector<double> quality_, cost_;
  std::vector<std::vector<size_t>> by_score_;
  size_t evaluated_ = 0;
};

absl::Status Check(const ChainSample& sample, absl::Span<const size_t> tuning,
                   absl::Span<const size_t> heldout, const ChainSearchOptions& options) {
  const size_t cells = sample.experts * sample.rows;
  for (const auto& [field, values] :
       {std::pair<const char*, const std::vector<double>*>{"quality", &sample.quality},
        {"cost", &sample.cost},
        {"score", &sample.score}}) {
    if (values->size() != cells ||
        !std::all_of(values->begin(), values->end(), [](double v) { return std::isfinite(v); })) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ": wanted ", cells, " finite numbers, found ", values->size()));
    }
  }
  if (!sample.latency_s.empty() && sample.latency_s.size() != sample.experts) {
    return absl::InvalidArgumentError("latency_s: wanted one number an expert, or none");
  }
  if (tuning.empty()) return absl::InvalidArgumentError("no rows to tune on");
  for (const absl::Span<const size_t> rows : {tuning, heldout}) {
    for (const size_t x : rows) {
      if (x >= sample.rows) return absl::InvalidArgumentError("a row is beyond the sample");
    }
  }
  if (options.depth < 1 || options.depth > 3 || options.grid < 2) {
    return absl::InvalidArgumentError("wanted a depth of 1 to 3 and a grid of at least 2");
  }
  return absl::OkStatus();
}

}  // namespace

ChainFigures RunChain(const ChainSample& sample, absl::Span<const ChainStage> stages,
                      absl::Span<const size_t> rows) {
  ChainFigures figures;
  figures.reached.assign(stages.size(), 0.0);
  if (stages.empty() || rows.empty()) return figures;
  for (const size_t x : rows) {
    for (size_t l = 0; l < stages.size(); ++l) {
      const size_t at = stages[l].expert * sample.rows + x;
      figures.reached[l] += 1;
      figures.cost += sample.cost[at];
      if (l + 1 < stages.size() && !(sample.score[at] >= stages[l].threshold)) continue;
      figures.quality += sample.quality[at];
      break;
    }
  }
  const double count = static_cast<double>(rows.size());
  figures.quality /= count;
  figures.cost /= count;
  for (double& reached : figures.reached) reached /= count;
  return figures;
}

absl::StatusOr<ChainPlan> SearchChain(const ChainSample& sample, absl::Span<const size_t> tuning,
                                      absl::Span<const size_t> heldout,
                                      const ChainSearchOptions& options) {
  if (absl::Status status = Check(sample, tuning, heldout, options); !status.ok()) return status;
  Searcher searcher(sample, tuning, options);
  std::vector<Contender> contenders = searcher.Run();
  if (contenders.empty()) {
    double least = kNever;
    for (size_t e = 0; e < sample.experts; ++e) least = std::min(least, searcher.MeanCost(e));
    return absl::FailedPreconditionError(
        absl::StrCat("no expert fits a budget of ", options.budget,
                     " a request and the latency limit; the cheapest takes ", least));
  }
  std::stable_sort(contenders.begin(), contenders.end(),
                   [](const Contender& a, const Contender& b) {
                     return a.quality != b.quality ? a.quality > b.quality : a.cost < b.cost;
                   });
  ChainPlan plan;
  plan.evaluated = searcher.evaluated();
  const Contender* winner = &contenders.front();
  if (!heldout.empty()) {
    // The best on the tuning rows has been picked from many for being lucky there.
    bool found = false;
    ChainFigures best;
    for (size_t i = 0; i < contenders.size(); ++i) {
      if (i >= options.finalists && contenders[i].stages.size() > 1) continue;
      const ChainFigures figures = RunChain(sample, contenders[i].stages, heldout);
      if (figures.cost > options.budget || (found && figures.quality <= best.quality)) continue;
      found = true;
      best = figures;
      winner = &contenders[i];
    }
  }
  plan.stages = winner->stages;
  plan.tuning = RunChain(sample, plan.stages, tuning);
  plan.heldout = heldout.empty() ? plan.tuning : RunChain(sample, plan.stages, heldout);
  return plan;
}

}  // namespace penstock::router
