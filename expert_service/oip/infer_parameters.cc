#include "expert_service/oip/infer_parameters.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"

namespace penstock::expert {
namespace {

absl::StatusOr<int64_t> AsInteger(const Parameter& parameter) {
  if (const auto* value = std::get_if<int64_t>(&parameter.value)) return *value;
  if (const auto* value = std::get_if<uint64_t>(&parameter.value)) {
    return static_cast<int64_t>(std::min<uint64_t>(*value, std::numeric_limits<int64_t>::max()));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("parameter ", parameter.name, ": wanted an integer"));
}

bool NamesASequence(const ParameterValue& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) return *number != 0;
  if (const auto* number = std::get_if<uint64_t>(&value)) return *number != 0;
  if (const auto* text = std::get_if<std::string>(&value)) return !text->empty();
  return !std::holds_alternative<std::monostate>(value);
}

}  // namespace

absl::StatusOr<InferParameters> ReadParameters(const std::vector<Parameter>& parameters) {
  InferParameters read;
  for (const Parameter& parameter : parameters) {
    if (absl::StartsWith(parameter.name, "penstock_")) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown parameter ", parameter.name,
                       ": an expert takes no penstock_ parameters, a router does"));
    }
    if (parameter.name == "sequence_id" && NamesASequence(parameter.value)) {
      return absl::InvalidArgumentError("parameter sequence_id: sequences are not supported");
    }
    if (parameter.name == "timeout") {
      PENSTOCK_ASSIGN_OR_RETURN(const int64_t microseconds, AsInteger(parameter));
      if (microseconds < 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("parameter timeout: wanted microseconds, at least 0, got ", microseconds));
      }
      if (microseconds > 0) read.timeout = absl::Microseconds(microseconds);
    }
  }
  return read;
}

absl::StatusOr<std::vector<size_t>> ReadRequestedOutputs(
    const Contract& contract, const std::vector<RequestedOutput>& outputs) {
  std::vector<size_t> wanted;
  if (outputs.empty()) {
    for (size_t i = 0; i < contract.outputs.size(); ++i) wanted.push_back(i);
    return wanted;
  }
  for (const RequestedOutput& output : outputs) {
    const auto found =
        std::find_if(contract.outputs.begin(), contract.outputs.end(),
                     [&](const TensorContract& each) { return each.name == output.name; });
    if (found == contract.outputs.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "unknown output \"", output.name, "\", wanted some of: ",
          absl::StrJoin(contract.outputs, ", ", [](std::string* out, const TensorContract& each) {
            absl::StrAppend(out, each.name);
          })));
    }
    const size_t index = static_cast<size_t>(found - contract.outputs.begin());
    if (std::find(wanted.begin(), wanted.end(), index) != wanted.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("output ", output.name, " is requested twice"));
    }
    for (const Parameter& parameter : output.parameters) {
      if (parameter.name == "classification" ||
          absl::StartsWith(parameter.name, "shared_memory_")) {
        return absl::InvalidArgumentError(absl::StrCat("output ", output.name, ": parameter ",
                                                       parameter.name, " is not supported"));
      }
    }
    wanted.push_back(index);
  }
  return wanted;
}

}  // namespace penstock::expert
