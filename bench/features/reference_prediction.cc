#include "bench/features/reference_prediction.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

namespace penstock::router {
namespace {

uint64_t Finalised(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

uint64_t HashOf(const std::string& token) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (const char c : token) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return Finalised(hash);
}

std::vector<std::string> Tokens(const std::string& prompt) {
  std::vector<std::string> tokens;
  bool in_word = false;
  for (const char c : prompt) {
    const bool letter = std::isalpha(static_cast<unsigned char>(c)) != 0;
    if (letter && in_word) {
      tokens.back() += static_cast<char>(std::tolower(c));
    } else if (letter) {
      tokens.emplace_back(1, static_cast<char>(std::tolower(c)));
    } else if (!std::isspace(static_cast<unsigned char>(c))) {
      tokens.emplace_back(1, c);
    }
    in_word = letter;
  }
  return tokens;
}

// Bent towards the bounds from the knee on, so that scores beyond keep their order.
double Bounded(double score) {
  constexpr double kFrom = HashedLinearQuality::kKnee;
  constexpr double kWidth = HashedLinearQuality::kKnee - HashedLinearQuality::kLeast;
  const double beyond = std::max(kFrom - score, score - (1 - kFrom));
  if (beyond <= 0) return score;
  const double bent = kWidth * (1 - kWidth / (kWidth + beyond));
  return score > 0.5 ? 1 - kFrom + bent : kFrom - bent;
}

}  // namespace

ReferencePrediction PredictPlainly(const HashedLinearQuality::Parameters& model, uint32_t bits,
                                   const std::string& prompt) {
  std::map<uint32_t, int> counts;
  const std::vector<std::string> tokens = Tokens(prompt);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const uint64_t hash = HashOf(tokens[i]);
    ++counts[static_cast<uint32_t>(hash >> (64 - bits))];
    if (i == 0) continue;
    const uint64_t pair = Finalised(HashOf(tokens[i - 1]) * 0x9E3779B97F4A7C15ull + hash);
    ++counts[static_cast<uint32_t>(pair >> (64 - bits))];
  }
  const size_t experts = model.experts.size();
  std::vector<double> heads(2 * experts, 0.0);
  double squares = 0;
  for (const auto& [bucket, times] : counts) {
    const auto at = std::lower_bound(model.columns.begin(), model.columns.end(), bucket);
    const bool known = at != model.columns.end() && *at == bucket;
    const size_t place = static_cast<size_t>(at - model.columns.begin());
    const double value = std::log1p(times) * (known ? model.idf[place] : model.idf_unseen);
    squares += value * value;
    for (size_t h = 0; known && h < heads.size(); ++h) {
      heads[h] += value * model.weight[place * heads.size() + h];
    }
  }
  const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
  ReferencePrediction result;
  for (size_t e = 0; e < experts; ++e) {
    result.quality.push_back(Bounded(model.mean[e] + scale * heads[e]));
    result.work.push_back(std::exp(model.length_mean[e] + scale * heads[experts + e]) *
                          model.work_scale[e]);
  }
  return result;
}

}  // namespace penstock::router
