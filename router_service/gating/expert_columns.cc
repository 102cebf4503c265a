#include "router_service/gating/expert_columns.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace penstock::router {

absl::StatusOr<std::vector<size_t>> ExpertColumns(const Safetensors& file, absl::string_view path,
                                                  const std::vector<std::string>& expert_names,
                                                  size_t& file_experts) {
  const auto found = file.metadata().find("experts");
  const nlohmann::json names = found == file.metadata().end()
                                   ? nlohmann::json()
                                   : nlohmann::json::parse(found->second, nullptr, false);
  std::vector<std::string> in_file;
  if (names.is_array()) {
    for (const nlohmann::json& name : names) {
      if (name.is_string()) in_file.push_back(name.get<std::string>());
    }
  }
  if (!names.is_array() || in_file.empty() || in_file.size() != names.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": metadata \"experts\" is no JSON array of names"));
  }
  file_experts = in_file.size();
  std::vector<size_t> columns;
  for (const std::string& name : expert_names) {
    const auto at = std::find(in_file.begin(), in_file.end(), name);
    if (at == in_file.end()) {
      return absl::InvalidArgumentError(absl::StrCat(path, " knows no expert \"", name,
                                                     "\": it was trained for ",
                                                     absl::StrJoin(in_file, ", ")));
    }
    columns.push_back(static_cast<size_t>(at - in_file.begin()));
  }
  return columns;
}

std::string ExpertsMetadata(const std::vector<std::string>& names) {
  return nlohmann::json(names).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::StatusOr<LinearColumns> ReadLinearColumns(const Safetensors& file, absl::string_view path,
                                                const std::vector<std::string>& expert_names,
                                                size_t dimension) {
  LinearColumns result;
  PENSTOCK_ASSIGN_OR_RETURN(result.columns,
                            ExpertColumns(file, path, expert_names, result.file_experts));
  const int64_t rows = static_cast<int64_t>(result.file_experts);
  const Safetensors::Entry* entry = file.Find("weight");
  if (entry != nullptr && entry->shape.size() == 2 &&
      entry->shape[1] != static_cast<int64_t>(dimension)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " was trained on ", entry->shape[1],
                                                   " features, but the pool's features give ",
                                                   dimension));
  }
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<float> weight,
                            file.Floats("weight", {rows, static_cast<int64_t>(dimension)}));
  std::vector<float> bias(result.file_experts, 0.0f);
  if (file.Find("bias") != nullptr) {
    PENSTOCK_ASSIGN_OR_RETURN(bias, file.Floats("bias", {rows}));
  }
  const auto finite = [](float value) { return std::isfinite(value); };
  if (!std::all_of(weight.begin(), weight.end(), finite) ||
      !std::all_of(bias.begin(), bias.end(), finite)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has weights that are not finite"));
  }
  for (const size_t column : result.columns) {
    result.weight.insert(result.weight.end(), weight.begin() + column * dimension,
                         weight.begin() + (column + 1) * dimension);
    result.bias.push_back(bias[column]);
  }
  return result;
}

}  // namespace penstock::router
