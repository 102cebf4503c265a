#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/route_topk/route_topk.h"

namespace penstock::kernels {
namespace {

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

float PowerOfTwo(int32_t n) {
  const uint32_t bits = static_cast<uint32_t>(n + 127) << 23;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// Cephes expf in float32: scores are defined by this recipe (route_topk.h), rounding by rounding.
float ExpFloat(float x) {
  x = std::min(std::max(x, -104.0f), 89.0f);
  const float n = std::nearbyint(x * 1.44269504088896341f);
  float r = std::fma(n, -0.693359375f, x);
  r = std::fma(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  for (float c :
       {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) {
    p = std::fma(p, r, c);
  }
  p = std::fma(p, r * r, r) + 1.0f;
  const int32_t whole = static_cast<int32_t>(n);
  const int32_t half = whole >= 0 ? whole / 2 : (whole - 1) / 2;
  return p * PowerOfTwo(half) * PowerOfTwo(whole - half);
}

// log(1 + u), 0 <= u <= 1: with s = u / (2 + u) it is 2 (s + s^3/3 + ... + s^15/15), s <= 1/3.
float LogOnePlusFloat(float u) {
  const float s = u / (2.0f + u), square = s * s, twice = s + s;
  float p = 1.0f / 15;
  for (float odd : {13.0f, 11.0f, 9.0f, 7.0f, 5.0f, 3.0f}) p = std::fma(p, square, 1.0f / odd);
  return std::fma(twice, p * square, twice);
}

// Expert e adds to partial sum e mod 16; then the upper half folds onto the lower: 8, 4, 2, 1.
float SumInLanes(const std::vector<float>& values) {
  float lanes[16] = {};
  for (size_t e = 0; e < values.size(); ++e) lanes[e % 16] += values[e];
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

std::vector<float> Scores(RouteScore score, const std::vector<float>& logits) {
  std::vector<float> p(logits.size());
  if (score == RouteScore::kSigmoid) {
    for (size_t e = 0; e < p.size(); ++e) p[e] = 1.0f / (1.0f + ExpFloat(0.0f - logits[e]));
    return p;
  }
  if (score == RouteScore::kSqrtSoftplus) {
    for (size_t e = 0; e < p.size(); ++e) {
      const float tail = LogOnePlusFloat(ExpFloat(0.0f - std::fabs(logits[e])));
      p[e] = std::sqrt(std::max(logits[e], 0.0f) + tail);
    }
    return p;
  }
  const float max = *std::max_element(logits.begin(), logits.end());
  for (size_t e = 0; e < p.size(); ++e) p[e] = ExpFloat(logits[e] - max);
  const float sum = SumInLanes(p);
  for (float& v : p) v /= sum;
  return p;
}

struct Candidate {
  float key;
  int32_t id;
};

bool Better(const Candidate& a, const Candidate& b) {
  return a.key > b.key || (a.key == b.key && a.id < b.id);
}

// Candidates of the groups kept. `values`: what a rank sums.
std::vector<Candidate> OfBestGroups(const RouteTopKArgs& args, std::vector<Candidate> candidates,
                                    const std::vector<float>& values) {
  const int64_t size = args.experts / args.groups;
  std::sort(candidates.begin(), candidates.end(), Better);
  std::vector<Candidate> ranks;
  for (int64_t g = 0; g < args.groups; ++g) {
    int64_t taken = 0;
    float rank = 0;
    for (const Candidate& c : candidates) {
      if (c.id / size != g || taken == GroupTop(args)) continue;
      rank = taken++ == 0 ? values[static_cast<size_t>(c.id)]
                          : rank + values[static_cast<size_t>(c.id)];
    }
    if (taken > 0) ranks.push_back({rank, static_cast<int32_t>(g)});
  }
  std::sort(ranks.begin(), ranks.end(), Better);
  if (ranks.size() > static_cast<size_t>(args.groups_kept)) {
    ranks.resize(static_cast<size_t>(args.groups_kept));
  }
  std::erase_if(candidates, [&](const Candidate& c) {
    return std::none_of(ranks.begin(), ranks.end(),
                        [&](const Candidate& g) { return g.id == c.id / size; });
  });
  return candidates;
}

// scores: [experts], or null.
void RouteRow(const RouteTopKArgs& args, const float* row, int32_t* ids, float* weights,
              float* scores) {
  std::vector<float> logits(row, row + args.experts);
  for (size_t e = 0; e < logits.size(); ++e) {
    const bool masked = args.available != nullptr && args.available[e] == 0;
    if (masked || std::isnan(logits[e])) logits[e] = kNegativeInfinity;
    logits[e] = std::min(logits[e], std::numeric_limits<float>::max());
  }
  if (std::all_of(logits.begin(), logits.end(), [](float z) { return std::isinf(z); })) {
    if (args.degenerate_rows != nullptr) ++*args.degenerate_rows;
    std::fill_n(ids, args.k, kUnusedSlot);
    std::fill_n(weights, args.k, 0.0f);
    if (scores != nullptr) std::fill_n(scores, args.experts, 0.0f);
    return;
  }
  const std::vector<float> p = Scores(args.score, logits);
  const bool by_logit = args.score == RouteScore::kSoftmax && args.bias == nullptr;
  if (scores != nullptr) std::copy(p.begin(), p.end(), scores);
  std::vector<Candidate> candidates;
  std::vector<float> values = by_logit && GroupTop(args) == 1 ? logits : p;
  for (size_t e = 0; e < logits.size(); ++e) {
    float key = by_logit ? logits[e] : p[e];
    if (args.bias != nullptr) key += args.bias[e];
    if (std::isinf(logits[e]) || std::isnan(key) || key == kNegativeInfinity) continue;
    candidates.push_back({key, static_cast<int32_t>(e)});
    if (args.bias != nullptr) values[e] = key;
  }
  if (args.groups > 1) candidates = OfBestGroups(args, std::move(candidates), values);
  std::sort(candidates.begin(), candidates.end(), Better);
  if (candidates.size() > static_cast<size_t>(args.k)) {
    candidates.resize(static_cast<size_t>(args.k));
  }
  float sum = 0;
  for (const Candidate& c : candidates) sum += p[static_cast<size_t>(c.id)];
  for (size_t i = 0; i < static_cast<size_t>(args.k); ++i) {
    if (i >= candidates.size()) {
      ids[i] = kUnusedSlot;
      weights[i] = 0;
      continue;
    }
    ids[i] = candidates[i].id;
    const float score = p[static_cast<size_t>(candidates[i].id)];
    if (!args.renorm) {
      weights[i] = args.scale * score;
    } else if (sum < 1e-12f) {
      weights[i] = args.scale / static_cast<float>(candidates.size());
    } else {
      weights[i] = args.scale * (score / sum);
    }
  }
}

}  // namespace

// Allocates, unlike the entries that serve.
Status RouteTopKReference(const RouteTopKArgs& args) {
  const Status status = CheckRouteTopK(args);
  if (!status.ok()) return status;
  for (int64_t t = 0; t < args.rows; ++t) {
    RouteRow(args, args.logits + t * args.experts, args.ids + t * args.k, args.weights + t * args.k,
             args.scores != nullptr ? args.scores + t * args.experts : nullptr);
  }
  return status;
}

}  // namespace penstock::kernels
