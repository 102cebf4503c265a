#include "router_service/dispatch/request_prompt.h"

#include <variant>

#include "absl/strings/str_join.h"

namespace penstock::router {

std::string PromptOf(const RouteRequest& request) {
  const config::v1::TextFeatures& config = request.pool->config.features().text();
  if (!config.parameter().empty()) {
    for (const Parameter& parameter : request.header.parameters) {
      const std::string* text = std::get_if<std::string>(&parameter.value);
      if (parameter.name == config.parameter() && text != nullptr) return *text;
    }
    return "";
  }
  for (const Tensor& input : request.inputs) {
    const bool found =
        config.input().empty() ? input.datatype == DataType::kBytes : input.name == config.input();
    if (!found) continue;
    const auto strings = ToStrings(input);
    return strings.ok() ? absl::StrJoin(*strings, "\n") : "";
  }
  return "";
}

}  // namespace penstock::router
