#include "router_service/recording/chain/kept_heads.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace penstock::router {

std::string KeptHeadsKey(absl::string_view log) { return absl::StrCat("decision_log/heads/", log); }

std::string FormatKeptHeads(const std::vector<LogHead>& heads) {
  std::string text;
  for (const LogHead& head : heads) text += FormatLogHead(head);
  return text;
}

std::vector<LogHead> ParseKeptHeads(absl::string_view log, absl::string_view text, size_t& others) {
  std::vector<LogHead> heads;
  others = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    absl::StatusOr<LogHead> head = ParseLogHead(absl::StrCat(line, "\n"));
    if (!head.ok() || head->log != log) {
      ++others;
    } else if (heads.size() < kMostKeptHeads) {
      heads.push_back(*std::move(head));
    } else {
      ++others;
    }
  }
  return heads;
}

std::vector<LogHead> HeadsBefore(std::vector<LogHead> kept, const LogHead& first) {
  const auto goes_on = [&](size_t i) {
    const LogHead& next = i + 1 < kept.size() ? kept[i + 1] : first;
    return (i == 0 || kept[i - 1].sequence < kept[i].sequence) && kept[i].sequence < next.sequence;
  };
  while (kept.size() > kMostKeptHeads - 2) {
    size_t leaves = 0;
    while (leaves < kept.size() && !goes_on(leaves)) ++leaves;
    if (leaves == kept.size()) leaves = 0;
    kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(leaves));
  }
  return kept;
}

const LogHead* NotContinued(const std::vector<LogHead>& kept, const LogHead& first) {
  const auto furthest =
      std::max_element(kept.begin(), kept.end(),
                       [](const LogHead& a, const LogHead& b) { return a.sequence < b.sequence; });
  return furthest == kept.end() || furthest->sequence < first.sequence ? nullptr : &*furthest;
}

}  // namespace penstock::router
