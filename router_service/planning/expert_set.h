#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace penstock::router {

// A set of experts of one pool, by index.
class ExpertSet {
 public:
  static constexpr size_t kMostExperts = 1024;

  // {0, ..., experts - 1}
  static ExpertSet All(size_t experts) {
    ExpertSet set;
    for (size_t i = 0; i < experts; ++i) set.Add(i);
    return set;
  }
  template <typename Range>
  static ExpertSet Of(const Range& experts) {
    ExpertSet set;
    for (const auto expert : experts) set.Add(static_cast<size_t>(expert));
    return set;
  }

  bool Has(size_t expert) const { return (words_[expert / 64] >> (expert % 64) & 1) != 0; }
  void Add(size_t expert) { words_[expert / 64] |= uint64_t{1} << (expert % 64); }
  void Remove(size_t expert) { words_[expert / 64] &= ~(uint64_t{1} << (expert % 64)); }
  ExpertSet With(size_t expert) const {
    ExpertSet set = *this;
    set.Add(expert);
    return set;
  }
  ExpertSet Without(size_t expert) const {
    ExpertSet set = *this;
    set.Remove(expert);
    return set;
  }
  ExpertSet operator-(const ExpertSet& other) const {
    ExpertSet set = *this;
    for (size_t i = 0; i < words_.size(); ++i) set.words_[i] &= ~other.words_[i];
    return set;
  }
  ExpertSet operator|(const ExpertSet& other) const {
    ExpertSet set = *this;
    for (size_t i = 0; i < words_.size(); ++i) set.words_[i] |= other.words_[i];
    return set;
  }
  ExpertSet operator&(const ExpertSet& other) const {
    ExpertSet set = *this;
    for (size_t i = 0; i < words_.size(); ++i) set.words_[i] &= other.words_[i];
    return set;
  }
  bool Contains(const ExpertSet& other) const { return (other - *this).empty(); }
  bool operator==(const ExpertSet& other) const { return words_ == other.words_; }

  size_t size() const {
    size_t count = 0;
    for (const uint64_t word : words_) count += static_cast<size_t>(std::popcount(word));
    return count;
  }
  bool empty() const {
    for (const uint64_t word : words_) {
      if (word != 0) return false;
    }
    return true;
  }
  // Calls visit(expert) by ascending index.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (size_t w = 0; w < words_.size(); ++w) {
      for (uint64_t word = words_[w]; word != 0; word &= word - 1) {
        visit(w * 64 + static_cast<size_t>(std::countr_zero(word)));
      }
    }
  }
  std::vector<size_t> Members() const {
    std::vector<size_t> members;
    ForEach([&members](size_t expert) { members.push_back(expert); });
    return members;
  }

 private:
  std::array<uint64_t, kMostExperts / 64> words_ = {};
};

}  // namespace penstock::router
