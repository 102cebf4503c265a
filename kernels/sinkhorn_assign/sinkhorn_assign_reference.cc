#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/sinkhorn_assign/sinkhorn_assign.h"

namespace penstock::kernels {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

struct Matrix {
  size_t columns = 0;
  std::vector<double> values;
  double& at(size_t row, size_t column) { return values[row * columns + column]; }
};

double LogSumExp(const std::vector<double>& terms) {
  const double most = *std::max_element(terms.begin(), terms.end());
  if (most == kNever) return kNever;
  double sum = 0;
  for (double term : terms) sum += std::exp(term - most);
  return most + std::log(sum);
}

// L, with absent entries -inf.
Matrix Usable(const SinkhornArgs& args) {
  Matrix l = {static_cast<size_t>(args.experts),
              std::vector<double>(args.logits, args.logits + args.rows * args.experts)};
  for (size_t i = 0; i < l.values.size(); ++i) {
    const size_t e = i % l.columns;
    const bool closed = (args.available != nullptr && args.available[e] == 0) ||
                        (args.expert_mass != nullptr && args.expert_mass[e] == 0);
    if (closed || std::isnan(l.values[i])) l.values[i] = kNever;
    l.values[i] = std::min(l.values[i], static_cast<double>(std::numeric_limits<float>::max()));
  }
  return l;
}

struct Solution {
  Matrix log_share;  // log(P / r)
  std::vector<double> g;
  std::vector<bool> live;  // rows
};

Solution Solve(const SinkhornArgs& args, Matrix l) {
  const size_t rows = static_cast<size_t>(args.rows), experts = l.columns;
  Solution s = {l, std::vector<double>(experts, 0), std::vector<bool>(rows, false)};
  std::vector<double> f(rows, 0), log_r(rows, 0), log_c(experts, 0);
  std::vector<bool> used(experts, false);
  double r = 0, c = 0;
  for (size_t t = 0; t < rows; ++t) {
    const double mass = args.row_mass != nullptr ? static_cast<double>(args.row_mass[t]) : 1;
    bool any = false;
    for (size_t e = 0; e < experts; ++e) {
      l.at(t, e) /= static_cast<double>(args.temperature);
      any = any || l.at(t, e) != kNever;
      if (mass > 0 && l.at(t, e) != kNever) used[e] = true;
    }
    s.live[t] = any && mass > 0;
    if (!any && mass > 0 && args.degenerate_rows != nullptr) ++*args.degenerate_rows;
    if (s.live[t]) r += mass;
    log_r[t] = std::log(mass);
  }
  for (size_t e = 0; e < experts; ++e) {
    const double mass = args.expert_mass != nullptr ? static_cast<double>(args.expert_mass[e]) : 1;
    if (used[e]) c += mass;
    log_c[e] = std::log(mass);
    s.g[e] = std::isfinite(args.potential[e]) ? static_cast<double>(args.potential[e]) : 0;
    if (!used[e]) s.g[e] = kNever;
  }
  for (int64_t i = 0; i < args.iterations; ++i) {
    for (size_t t = 0; t < rows; ++t) {
      std::vector<double> terms(experts);
      for (size_t e = 0; e < experts; ++e) terms[e] = l.at(t, e) + s.g[e];
      if (s.live[t]) f[t] = log_r[t] - LogSumExp(terms);
    }
    for (size_t e = 0; e < experts; ++e) {
      std::vector<double> terms(rows, kNever);
      for (size_t t = 0; t < rows; ++t) {
        if (s.live[t]) terms[t] = l.at(t, e) + f[t];
      }
      if (used[e]) s.g[e] = log_c[e] + std::log(r / c) - LogSumExp(terms);
    }
  }
  for (size_t t = 0; t < rows; ++t) {
    for (size_t e = 0; e < experts; ++e) {
      const bool in = s.live[t] && used[e];
      s.log_share.at(t, e) = in ? l.at(t, e) + f[t] + s.g[e] - log_r[t] : kNever;
    }
  }
  return s;
}

struct Offer {
  double share = 0;
  size_t row = 0;
};

// The rounds of sinkhorn_assign.h; ids of a row in no order.
std::vector<std::vector<size_t>> Round(const SinkhornArgs& args, Solution& s) {
  const size_t rows = s.live.size(), experts = s.g.size(), k = static_cast<size_t>(args.k);
  std::vector<int64_t> room(experts, std::numeric_limits<int64_t>::max());
  if (args.capacity != nullptr) room.assign(args.capacity, args.capacity + experts);
  std::vector<std::vector<size_t>> held(rows);
  for (bool refused = true; refused;) {
    refused = false;
    std::vector<std::vector<Offer>> offers(experts);
    for (size_t t = 0; t < rows; ++t) {
      std::vector<size_t> open;
      for (size_t e = 0; e < experts; ++e) {
        const bool has = std::count(held[t].begin(), held[t].end(), e) > 0;
        if (!has && room[e] > 0 && s.log_share.at(t, e) != kNever) open.push_back(e);
      }
      std::stable_sort(open.begin(), open.end(), [&](size_t a, size_t b) {
        return s.log_share.at(t, a) > s.log_share.at(t, b);
      });
      for (size_t i = 0; i < open.size() && held[t].size() + i < k; ++i) {
        offers[open[i]].push_back({s.log_share.at(t, open[i]), t});
      }
    }
    for (size_t e = 0; e < experts; ++e) {
      std::stable_sort(offers[e].begin(), offers[e].end(),
                       [](const Offer& a, const Offer& b) { return a.share > b.share; });
      for (const Offer& offer : offers[e]) {
        if (room[e] > 0) {
          held[offer.row].push_back(e);
          --room[e];
        } else {
          refused = true;
        }
      }
    }
  }
  return held;
}

double Weight(const SinkhornArgs& args, Matrix& l, Solution& s, size_t t, size_t e) {
  double most = kNever, sum = 0;
  for (size_t i = 0; i < l.columns; ++i) most = std::max(most, l.at(t, i));
  for (size_t i = 0; i < l.columns; ++i) sum += std::exp(l.at(t, i) - most);
  switch (args.weight) {
    case SinkhornWeight::kPlan:
      return std::exp(s.log_share.at(t, e));
    case SinkhornWeight::kSoftmax:
      return std::exp(l.at(t, e) - most) / sum;
    case SinkhornWeight::kSigmoid:
      return 1 / (1 + std::exp(-l.at(t, e)));
  }
  return 0;
}

}  // namespace

// Allocates, unlike the entries that serve.
Status SinkhornReference(const SinkhornArgs& args) {
  const Status status = CheckSinkhorn(args);
  if (!status.ok() || args.rows == 0) return status;
  Matrix l = Usable(args);
  Solution s = Solve(args, l);
  for (size_t e = 0; e < s.g.size(); ++e) args.potential[e] = static_cast<float>(s.g[e]);
  for (size_t i = 0; args.plan != nullptr && i < l.values.size(); ++i) {
    const size_t t = i / l.columns;
    const double mass = args.row_mass != nullptr ? static_cast<double>(args.row_mass[t]) : 1;
    args.plan[i] = static_cast<float>(mass * std::exp(s.log_share.values[i]));
  }
  std::vector<std::vector<size_t>> held = Round(args, s);
  const size_t k = static_cast<size_t>(args.k);
  for (size_t t = 0; t < held.size(); ++t) {
    std::sort(held[t].begin(), held[t].end(), [&](size_t a, size_t b) {
      const double x = s.log_share.at(t, a), y = s.log_share.at(t, b);
      return x != y ? x > y : a < b;
    });
    for (size_t i = 0; i < k; ++i) {
      const bool served = i < held[t].size();
      args.ids[t * k + i] = served ? static_cast<int32_t>(held[t][i]) : -1;
      args.weights[t * k + i] = served ? static_cast<float>(Weight(args, l, s, t, held[t][i])) : 0;
      if (!served && s.live[t] && args.unserved != nullptr) ++*args.unserved;
    }
  }
  return status;
}

}  // namespace penstock::kernels
