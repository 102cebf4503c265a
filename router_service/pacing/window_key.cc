#include "router_service/pacing/window_key.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace penstock::router {

using config::v1::Budget;

std::string WindowKey(absl::string_view pool, const Budget& budget) {
  const auto part = [](absl::string_view name) {
    return absl::StrReplaceAll(name, {{"%", "%25"}, {"/", "%2F"}});
  };
  return absl::StrCat(part(pool), "/", part(budget.tenant()), "/",
                      Budget::Resource_Name(budget.resource()), "/",
                      Budget::Per_Name(budget.per()));
}

std::vector<std::string> WindowKeyParts(absl::string_view key) {
  std::vector<std::string> parts = absl::StrSplit(key, '/');
  for (std::string& part : parts) {
    part = absl::StrReplaceAll(part, {{"%25", "%"}, {"%2F", "/"}});
  }
  return parts;
}

}  // namespace penstock::router
