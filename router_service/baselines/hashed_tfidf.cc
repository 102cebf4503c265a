#include "router_service/baselines/hashed_tfidf.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

namespace penstock::router {
namespace {

constexpr uint64_t kFnvOffset = 0xCBF29CE484222325ull;
constexpr uint64_t kFnvPrime = 0x100000001B3ull;

uint64_t Hash(uint64_t hash, absl::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
  return hash;
}

bool IsLetter(char c) { return c >= 'a' && c <= 'z'; }

// End of the token that begins at `at`: a run of letters, else one character.
size_t TokenEnd(const std::string& text, size_t at) {
  size_t end = at + 1;
  if (IsLetter(text[at])) {
    while (end < text.size() && IsLetter(text[end])) ++end;
  }
  return end;
}

// (column, times it occurs), by rising column.
std::vector<std::pair<uint32_t, float>> Counts(const std::string& text, uint32_t columns) {
  std::string lower = text;
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  std::vector<uint32_t> hits;
  absl::string_view previous;
  for (size_t at = 0; at < lower.size();) {
    // Control characters and blanks only part tokens; bytes beyond ASCII are tokens each.
    if (static_cast<unsigned char>(lower[at]) <= ' ') {
      ++at;
      continue;
    }
    const size_t end = TokenEnd(lower, at);
    const absl::string_view token(lower.data() + at, end - at);
    // The high half: FNV-1a mixes its low bits least.
    hits.push_back(static_cast<uint32_t>((Hash(kFnvOffset, token) >> 32) % columns));
    if (!previous.empty()) {
      const uint64_t pair = Hash(Hash(Hash(kFnvOffset, previous), " "), token);
      hits.push_back(static_cast<uint32_t>((pair >> 32) % columns));
    }
    previous = token;
    at = end;
  }
  std::sort(hits.begin(), hits.end());
  std::vector<std::pair<uint32_t, float>> counts;
  for (const uint32_t hit : hits) {
    if (counts.empty() || counts.back().first != hit) counts.emplace_back(hit, 0.0f);
    counts.back().second += 1;
  }
  return counts;
}

}  // namespace

HashedTfidf::HashedTfidf(absl::Span<const std::string* const> texts, uint32_t columns)
    : columns_(columns), idf_(columns) {
  std::vector<uint32_t> documents(columns, 0);
  for (const std::string* text : texts) {
    for (const auto& [column, count] : Counts(*text, columns)) ++documents[column];
  }
  const double total = static_cast<double>(texts.size());
  for (uint32_t column = 0; column < columns; ++column) {
    idf_[column] = static_cast<float>(std::log((1 + total) / (1 + documents[column])) + 1);
  }
}

SparseRows HashedTfidf::Transform(absl::Span<const std::string* const> texts) const {
  SparseRows rows;
  rows.columns = columns_;
  for (const std::string* text : texts) {
    double square = 0;
    const size_t first = rows.value.size();
    for (const auto& [column, count] : Counts(*text, columns_)) {
      const float value = (1 + std::log(count)) * idf_[column];
      rows.column.push_back(column);
      rows.value.push_back(value);
      square += double{value} * value;
    }
    const float scale = square > 0 ? static_cast<float>(1 / std::sqrt(square)) : 0.0f;
    for (size_t i = first; i < rows.value.size(); ++i) rows.value[i] *= scale;
    rows.begin.push_back(rows.value.size());
  }
  return rows;
}

}  // namespace penstock::router
