#include "expert_service/models/contract.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"

namespace penstock::expert {
namespace {

constexpr int64_t kMaxRows = 1 << 20;

absl::StatusOr<std::vector<TensorContract>> ParseTensors(
    const google::protobuf::RepeatedPtrField<config::v1::TensorSpec>& specs,
    absl::string_view field) {
  if (specs.empty()) return absl::InvalidArgumentError(absl::StrCat(field, " is empty"));
  std::vector<TensorContract> tensors;
  std::set<std::string> names;
  for (const config::v1::TensorSpec& spec : specs) {
    const std::string where = absl::StrCat(field, "[", tensors.size(), "]");
    if (spec.name().empty())
      return absl::InvalidArgumentError(absl::StrCat(where, ".name is empty"));
    if (!names.insert(spec.name()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ".name: there are two of \"", spec.name(), "\""));
    }
    TensorContract tensor;
    tensor.name = spec.name();
    absl::StatusOr<DataType> datatype = ParseDataType(spec.datatype());
    if (!datatype.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ".datatype: ", datatype.status().message()));
    }
    tensor.datatype = *datatype;
    for (const int64_t dimension : spec.shape()) {
      if (dimension != -1 && dimension < 1) {
        return absl::InvalidArgumentError(absl::StrCat(
            where, ".shape: a dimension is at least 1, or -1 (variable), found ", dimension));
      }
      tensor.shape.push_back(dimension);
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

bool Fits(const std::vector<int64_t>& shape, const std::vector<int64_t>& wanted) {
  if (shape.size() != wanted.size()) return false;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0 || (wanted[i] != -1 && shape[i] != wanted[i])) return false;
  }
  return true;
}

std::string Names(const std::vector<TensorContract>& tensors) {
  return absl::StrJoin(tensors, ", ", [](std::string* out, const TensorContract& tensor) {
    absl::StrAppend(out, tensor.name);
  });
}

absl::Status MatchOne(const Contract& contract, const TensorContract& wanted,
                      const Tensor& tensor) {
  if (tensor.datatype != wanted.datatype) {
    return absl::InvalidArgumentError(absl::StrCat("input ", tensor.name, ": wanted datatype ",
                                                   DataTypeName(wanted.datatype), ", got ",
                                                   DataTypeName(tensor.datatype)));
  }
  const std::vector<int64_t> shape = contract.WireShape(wanted);
  if (!Fits(tensor.shape, shape)) {
    return absl::InvalidArgumentError(absl::StrCat("input ", tensor.name, ": wanted shape ",
                                                   ShapeString(shape), ", got ",
                                                   ShapeString(tensor.shape)));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<int64_t> Contract::WireShape(const TensorContract& tensor) const {
  std::vector<int64_t> shape;
  if (has_rows()) shape.push_back(-1);
  shape.insert(shape.end(), tensor.shape.begin(), tensor.shape.end());
  return shape;
}

absl::StatusOr<Contract> ParseContract(const config::v1::Model& config) {
  Contract contract;
  PENSTOCK_ASSIGN_OR_RETURN(contract.inputs, ParseTensors(config.inputs(), "inputs"));
  PENSTOCK_ASSIGN_OR_RETURN(contract.outputs, ParseTensors(config.outputs(), "outputs"));
  const config::v1::Batching& batching = config.batching();
  if (batching.has_max_rows()) contract.max_rows = batching.max_rows();
  if (contract.max_rows > kMaxRows) {
    return absl::InvalidArgumentError(absl::StrCat("batching.max_rows must be in [0, ", kMaxRows,
                                                   "], found ", contract.max_rows));
  }
  constexpr uint64_t kMaxDelayUs = 60'000'000;
  if (batching.max_delay_us() > kMaxDelayUs) {
    return absl::InvalidArgumentError(absl::StrCat("batching.max_delay_us must be in [0, ",
                                                   kMaxDelayUs, "], found ",
                                                   batching.max_delay_us()));
  }
  contract.max_delay = absl::Microseconds(static_cast<int64_t>(batching.max_delay_us()));
  if (batching.has_max_queue()) contract.max_queue = batching.max_queue();
  if (contract.max_queue < 1) {
    return absl::InvalidArgumentError("batching.max_queue must be at least 1, found 0");
  }
  return contract;
}

absl::StatusOr<ContractInputs> MatchInputs(const Contract& contract, std::vector<Tensor> inputs) {
  ContractInputs matched;
  matched.tensors.resize(contract.inputs.size());
  std::vector<bool> seen(contract.inputs.size());
  for (Tensor& tensor : inputs) {
    const auto wanted =
        std::find_if(contract.inputs.begin(), contract.inputs.end(),
                     [&](const TensorContract& input) { return input.name == tensor.name; });
    if (wanted == contract.inputs.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown input \"", tensor.name, "\", wanted: ", Names(contract.inputs)));
    }
    const size_t index = static_cast<size_t>(wanted - contract.inputs.begin());
    if (seen[index]) {
      return absl::InvalidArgumentError(absl::StrCat("input ", tensor.name, " came twice"));
    }
    seen[index] = true;
    PENSTOCK_RETURN_IF_ERROR(MatchOne(contract, *wanted, tensor));
    matched.tensors[index] = std::move(tensor);
  }
  for (size_t i = 0; i < seen.size(); ++i) {
    if (!seen[i]) {
      return absl::InvalidArgumentError(
          absl::StrCat("input ", contract.inputs[i].name, " is missing"));
    }
  }
  if (!contract.has_rows()) return matched;

  matched.rows = matched.tensors[0].shape[0];
  if (matched.rows < 1 || matched.rows > contract.max_rows) {
    return absl::InvalidArgumentError(absl::StrCat("input ", matched.tensors[0].name,
                                                   ": wanted 1 to ", contract.max_rows,
                                                   " rows, got ", matched.rows));
  }
  for (const Tensor& tensor : matched.tensors) {
    if (tensor.shape[0] != matched.rows) {
      return absl::InvalidArgumentError(
          absl::StrCat("input ", tensor.name, ": wanted ", matched.rows, " rows as input ",
                       matched.tensors[0].name, " has, got ", tensor.shape[0]));
    }
  }
  return matched;
}

}  // namespace penstock::expert
