#include "common/store/store.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace penstock {

std::string GrantedField(absl::string_view owner) { return absl::StrCat("g/", owner); }
std::string ReturnedField(absl::string_view owner) { return absl::StrCat("r/", owner); }
std::string SettledField(absl::string_view owner) { return absl::StrCat("s/", owner); }

std::vector<StoreField> HistogramDeltas(absl::Span<const int64_t> buckets) {
  std::vector<StoreField> deltas;
  for (size_t i = 0; i < buckets.size(); ++i) {
    if (buckets[i] != 0) deltas.push_back({absl::StrCat(i), buckets[i]});
  }
  return deltas;
}

std::vector<int64_t> HistogramOf(const StoreFields& counters, size_t buckets) {
  std::vector<int64_t> counts(buckets, 0);
  for (const auto& [field, count] : counters) {
    size_t bucket = 0;
    if (absl::SimpleAtoi(field, &bucket) && bucket < buckets && absl::StrCat(bucket) == field) {
      counts[bucket] = count;
    }
  }
  return counts;
}

}  // namespace penstock
