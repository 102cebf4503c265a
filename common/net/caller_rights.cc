#include "common/net/caller_rights.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace penstock {

bool CallerRights::MayCall(absl::string_view pool) const {
  return pools.empty() || std::find(pools.begin(), pools.end(), pool) != pools.end();
}

std::string CallerRights::ToMetadata() const {
  std::string text;
  const auto add = [&text](absl::string_view word) {
    absl::StrAppend(&text, text.empty() ? "" : ",", word);
  };
  if (forced_experts) add("forced_experts");
  if (admin) add("admin");
  for (const std::string& pool : pools) add(absl::StrCat("pool=", pool));
  return text;
}

CallerRights CallerRights::FromMetadata(absl::string_view text) {
  CallerRights rights;
  for (absl::string_view word : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    if (word == "forced_experts") {
      rights.forced_experts = true;
    } else if (word == "admin") {
      rights.admin = true;
    } else if (absl::ConsumePrefix(&word, "pool=")) {
      rights.pools.emplace_back(word);
    }
  }
  return rights;
}

}  // namespace penstock
