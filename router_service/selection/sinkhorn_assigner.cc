#include "router_service/selection/sinkhorn_assigner.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace penstock::router {
namespace {

// Below it a change of the sum is rounding.
constexpr double kLeastGain = 1e-9;

bool Admissible(const BatchProblem& problem, size_t request, size_t expert) {
  return std::isfinite(problem.affinity[request * problem.experts() + expert]);
}

}  // namespace

void SinkhornAssigner::SetRoom(const BatchProblem& problem) {
  const size_t experts = problem.experts();
  const absl::Span<const double> columns = plan_.columns();
  room_.resize(experts);
  double total = 0;
  int64_t whole = 0;
  for (size_t j = 0; j < experts; ++j) {
    const double places = std::min(columns[j], static_cast<double>(problem.capacity[j]));
    room_[j] = static_cast<int64_t>(std::floor(places + kLeastGain));
    whole += room_[j];
    total += columns[j];
  }
  if (options_.columns == ColumnRule::kLimit) return;
  order_.resize(experts);
  std::iota(order_.begin(), order_.end(), 0u);
  const auto remainder = [&](uint32_t j) { return columns[j] - static_cast<double>(room_[j]); };
  std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
    return remainder(a) != remainder(b) ? remainder(a) > remainder(b) : a < b;
  });
  const int64_t wanted = static_cast<int64_t>(std::llround(total));
  for (const uint32_t j : order_) {
    if (whole >= wanted) break;
    if (room_[j] >= static_cast<int64_t>(problem.capacity[j])) continue;
    ++room_[j];
    ++whole;
  }
}

void SinkhornAssigner::Round(const BatchProblem& problem, absl::Span<int32_t> expert) {
  const size_t experts = problem.experts();
  entries_.clear();
  for (size_t i = 0; i < problem.requests; ++i) {
    for (size_t j = 0; j < experts; ++j) {
      if (!Admissible(problem, i, j) || problem.capacity[j] == 0) continue;
      entries_.push_back(
          {plan_.plan()[i * experts + j], static_cast<uint32_t>(i), static_cast<uint32_t>(j)});
    }
  }
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    if (a.weight != b.weight) return a.weight > b.weight;
    return a.request != b.request ? a.request < b.request : a.expert < b.expert;
  });
  for (const Entry& entry : entries_) {
    if (expert[entry.request] != kUnassigned || room_[entry.expert] <= 0) continue;
    expert[entry.request] = static_cast<int32_t>(entry.expert);
    --room_[entry.expert];
  }
}

bool SinkhornAssigner::Augment(const BatchProblem& problem, size_t request,
                               absl::Span<int32_t> expert) {
  constexpr int32_t kUnseen = -1;
  const size_t experts = problem.experts();
  mover_.assign(experts, kUnseen);
  frontier_.clear();
  const auto reach = [&](size_t from) {
    for (size_t j = 0; j < experts; ++j) {
      if (mover_[j] != kUnseen || problem.capacity[j] == 0 || !Admissible(problem, from, j))
        continue;
      mover_[j] = static_cast<int32_t>(from);
      frontier_.push_back(static_cast<uint32_t>(j));
    }
  };
  reach(request);
  for (size_t next = 0; next < frontier_.size(); ++next) {
    int32_t to = static_cast<int32_t>(frontier_[next]);
    if (room_[static_cast<size_t>(to)] > 0) {
      --room_[static_cast<size_t>(to)];
      // Back along the chain: each mover leaves its place to the one before it.
      for (;;) {
        const size_t moved = static_cast<size_t>(mover_[static_cast<size_t>(to)]);
        const int32_t left = expert[moved];
        expert[moved] = to;
        if (moved == request) return true;
        to = left;
      }
    }
    for (size_t i = 0; i < problem.requests; ++i) {
      if (expert[i] == to) reach(i);
    }
  }
  return false;
}

void SinkhornAssigner::PlaceLeftOver(const BatchProblem& problem, absl::Span<int32_t> expert) {
  const bool all = std::none_of(expert.begin(), expert.end(),
                                [](int32_t placed) { return placed == kUnassigned; });
  if (all) return;
  // A share is an aim, the capacity is the limit.
  for (size_t j = 0; j < problem.experts(); ++j) room_[j] = problem.capacity[j];
  for (const int32_t placed : expert) {
    if (placed != kUnassigned) --room_[static_cast<size_t>(placed)];
  }
  for (size_t i = 0; i < problem.requests; ++i) {
    if (expert[i] == kUnassigned) Augment(problem, i, expert);
  }
}

void SinkhornAssigner::Improve(const BatchProblem& problem, absl::Span<int32_t> expert) {
  const size_t experts = problem.experts();
  const auto worth = [&](size_t request, int32_t of_expert) {
    if (of_expert == kUnassigned) return 0.0;
    const double affinity = problem.affinity[request * experts + static_cast<size_t>(of_expert)];
    return std::isfinite(affinity) ? affinity : BatchProblem::kInadmissible;
  };
  for (size_t i = 0; i < problem.requests; ++i) {
    if (expert[i] != kUnassigned && options_.columns == ColumnRule::kLimit) {
      for (size_t j = 0; j < experts; ++j) {
        const int32_t to = static_cast<int32_t>(j);
        if (room_[j] <= 0 || !(worth(i, to) > worth(i, expert[i]) + kLeastGain)) continue;
        ++room_[static_cast<size_t>(expert[i])];
        --room_[j];
        expert[i] = to;
      }
    }
    for (size_t other = i + 1; other < problem.requests; ++other) {
      // Of two one of whom is left over: who it should be.
      if (expert[other] == expert[i]) continue;
      const double kept = worth(i, expert[i]) + worth(other, expert[other]);
      const double swapped = worth(i, expert[other]) + worth(other, expert[i]);
      if (swapped > kept + kLeastGain) std::swap(expert[i], expert[other]);
    }
  }
}

void SinkhornAssigner::Assign(const BatchProblem& problem, absl::Span<int32_t> expert) {
  std::fill(expert.begin(), expert.end(), kUnassigned);
  plan_.Solve(problem);
  SetRoom(problem);
  Round(problem, expert);
  PlaceLeftOver(problem, expert);
  Improve(problem, expert);
}

}  // namespace penstock::router
