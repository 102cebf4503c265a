#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace penstock::kernels {

// At most `most` values by key; the one that was not asked for longest goes first. For few: it
// looks through all. Not thread-safe.
template <typename Key, typename Value>
class RecentUses {
 public:
  // `most` at least 1.
  explicit RecentUses(size_t most) : most_(most) {}

  // Null where there is none. Valid until the next Add or Clear.
  Value* Find(const Key& key) {
    const auto at = std::find_if(entries_.begin(), entries_.end(),
                                 [&](const auto& entry) { return entry.first == key; });
    if (at == entries_.end()) return nullptr;
    std::rotate(at, at + 1, entries_.end());
    return &entries_.back().second;
  }

  // Of a key that Find does not know.
  void Add(Key key, Value value) {
    if (entries_.size() == most_) entries_.erase(entries_.begin());
    entries_.emplace_back(std::move(key), std::move(value));
  }

  void Clear() { entries_.clear(); }
  size_t size() const { return entries_.size(); }

 private:
  const size_t most_;
  std::vector<std::pair<Key, Value>> entries_;  // the one that was asked for last at the end
};

}  // namespace penstock::kernels
