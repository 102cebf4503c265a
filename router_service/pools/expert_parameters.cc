#include "router_service/pools/expert_parameters.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace penstock::router {

using config::v1::ParameterValue;

absl::Status ValidateParameters(const config::v1::PoolExpert& expert) {
  constexpr int kMostParameters = 64;
  const auto bad = [&expert](absl::string_view problem) {
    return absl::InvalidArgumentError(
        absl::StrCat("expert ", expert.name(), ": parameters", problem));
  };
  if (static_cast<int>(expert.parameters().size()) > kMostParameters) {
    return bad(absl::StrCat(": there are ", expert.parameters().size(), ", wanted at most ",
                            kMostParameters));
  }
  for (const auto& [name, value] : expert.parameters()) {
    if (name.empty() || absl::StartsWith(name, "penstock_")) {
      return bad(absl::StrCat(": \"", name,
                              "\" is empty or begins with penstock_: no replica gets such a one"));
    }
    if (value.value_case() == ParameterValue::VALUE_NOT_SET) {
      return bad(absl::StrCat(".", name, ": wanted one of bool, int64, string, double"));
    }
  }
  return absl::OkStatus();
}

std::vector<OutParameter> ExpertParameters(const config::v1::PoolExpert& expert) {
  std::vector<OutParameter> parameters;
  for (const auto& [name, value] : expert.parameters()) {
    switch (value.value_case()) {
      case ParameterValue::kBool:
        parameters.push_back({name, value.bool_()});
        break;
      case ParameterValue::kInt64:
        parameters.push_back({name, int64_t{value.int64()}});
        break;
      case ParameterValue::kString:
        parameters.push_back({name, value.string()});
        break;
      case ParameterValue::kDouble:
        parameters.push_back({name, value.double_()});
        break;
      case ParameterValue::VALUE_NOT_SET:
        break;
    }
  }
  // A map of the schema has no order.
  std::sort(parameters.begin(), parameters.end(),
            [](const OutParameter& a, const OutParameter& b) { return a.name < b.name; });
  return parameters;
}

}  // namespace penstock::router
