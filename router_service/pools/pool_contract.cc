#include "router_service/pools/pool_contract.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "common/tensors/tensor.h"

namespace penstock::router {
namespace {

using Tensors = std::vector<PoolContract::Tensor>;

const PoolContract::Tensor* Find(const Tensors& tensors, absl::string_view name) {
  for (const PoolContract::Tensor& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

std::string Names(const Tensors& tensors) {
  return absl::StrJoin(tensors, ", ", [](std::string* out, const PoolContract::Tensor& tensor) {
    absl::StrAppend(out, tensor.name);
  });
}

// The shape on the wire: with the row dimension in front.
std::vector<int64_t> WireShape(const PoolContract::Tensor& tensor, bool batched) {
  std::vector<int64_t> shape;
  if (batched) shape.push_back(-1);
  shape.insert(shape.end(), tensor.shape.begin(), tensor.shape.end());
  return shape;
}

bool Fits(const std::vector<int64_t>& wanted, const std::vector<int64_t>& got) {
  if (wanted.size() != got.size()) return false;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (got[i] < 0 || (wanted[i] >= 0 && wanted[i] != got[i])) return false;
  }
  return true;
}

bool Agree(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] >= 0 && b[i] >= 0 && a[i] != b[i]) return false;
  }
  return true;
}

std::string TensorsDifference(absl::string_view kind, const Tensors& pool, const Tensors& expert,
                              bool more_allowed) {
  for (const PoolContract::Tensor& wanted : pool) {
    const PoolContract::Tensor* got = Find(expert, wanted.name);
    if (got == nullptr) {
      return absl::StrCat(kind, " ", wanted.name, " is missing; the expert has ", Names(expert));
    }
    if (got->datatype != wanted.datatype) {
      return absl::StrCat(kind, " ", wanted.name, ": the pool has datatype ", wanted.datatype,
                          ", the expert ", got->datatype);
    }
    if (!Agree(wanted.shape, got->shape)) {
      return absl::StrCat(kind, " ", wanted.name, ": the pool has shape ",
                          ShapeString(wanted.shape), ", the expert ", ShapeString(got->shape));
    }
  }
  if (more_allowed) return "";
  for (const PoolContract::Tensor& got : expert) {
    if (Find(pool, got.name) == nullptr) {
      return absl::StrCat("the expert has ", kind, " ", got.name, ", which the pool has not");
    }
  }
  return "";
}

Tensors FromSpecs(const google::protobuf::RepeatedPtrField<config::v1::TensorSpec>& specs) {
  Tensors tensors;
  for (const config::v1::TensorSpec& spec : specs) {
    tensors.push_back({spec.name(), spec.datatype(), {spec.shape().begin(), spec.shape().end()}});
  }
  return tensors;
}

using Metadata = inference::ModelMetadataResponse;
Tensors FromMetadata(
    const google::protobuf::RepeatedPtrField<Metadata::TensorMetadata>& metadata, bool batched) {
  Tensors tensors;
  for (const Metadata::TensorMetadata& item : metadata) {
    const auto first = item.shape().begin() + (batched && item.shape_size() > 0 ? 1 : 0);
    tensors.push_back({item.name(), item.datatype(), {first, item.shape().end()}});
  }
  return tensors;
}

bool AllLeadWithVariable(const Metadata& metadata) {
  const auto leads = [](const Metadata::TensorMetadata& item) {
    return item.shape_size() > 0 && item.shape(0) == -1;
  };
  return metadata.inputs_size() > 0 &&
         std::all_of(metadata.inputs().begin(), metadata.inputs().end(), leads) &&
         std::all_of(metadata.outputs().begin(), metadata.outputs().end(), leads);
}

absl::Status CheckNoSharedMemory(absl::string_view kind, absl::string_view name,
                                 const std::vector<Parameter>& parameters) {
  for (const Parameter& parameter : parameters) {
    if (absl::StartsWith(parameter.name, "shared_memory_")) {
      return absl::InvalidArgumentError(absl::StrCat(kind, " ", name, ": parameter ", parameter.name,
                                                     ": wanted tensors in the message, got a shared "
                                                     "memory region (not supported)"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

const PoolContract::Tensor* PoolContract::FindOutput(absl::string_view name) const {
  return Find(outputs, name);
}

PoolContract ContractFromConfig(const config::v1::Pool& pool) {
  PoolContract contract;
  contract.inputs = FromSpecs(pool.inputs());
  contract.outputs = FromSpecs(pool.outputs());
  contract.batched = pool.batched();
  return contract;
}

PoolContract ContractFromMetadata(const Metadata& metadata, const inference::ModelConfig* config) {
  PoolContract contract;
  contract.batched =
      config != nullptr ? config->max_batch_size() > 0 : AllLeadWithVariable(metadata);
  contract.max_rows = config != nullptr ? config->max_batch_size() : 0;
  contract.inputs = FromMetadata(metadata.inputs(), contract.batched);
  contract.outputs = FromMetadata(metadata.outputs(), contract.batched);
  return contract;
}

std::string ContractDifference(const PoolContract& pool, const PoolContract& expert) {
  if (pool.batched != expert.batched) {
    return absl::StrCat("the pool's tensors ", pool.batched ? "lead" : "do not lead",
                        " with a row dimension, the expert's ", expert.batched ? "do" : "do not");
  }
  std::string difference = TensorsDifference("input", pool.inputs, expert.inputs, false);
  if (difference.empty()) {
    difference = TensorsDifference("output", pool.outputs, expert.outputs, true);
  }
  return difference;
}

absl::StatusOr<int64_t> CheckRequest(const PoolContract& contract, const InferRequestHeader& header,
                                     bool allow_zero_rows) {
  int64_t rows = -1;
  absl::string_view rows_of;
  for (size_t i = 0; i < header.inputs.size(); ++i) {
    const TensorHeader& input = header.inputs[i];
    const PoolContract::Tensor* wanted = Find(contract.inputs, input.name);
    if (wanted == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "inputs[", i, "] ", input.name, " is unknown; known are ", Names(contract.inputs)));
    }
    for (size_t earlier = 0; earlier < i; ++earlier) {
      if (header.inputs[earlier].name == input.name) {
        return absl::InvalidArgumentError(
            absl::StrCat("input ", input.name, ": wanted once, got it twice"));
      }
    }
    PENSTOCK_RETURN_IF_ERROR(CheckNoSharedMemory("input", input.name, input.parameters));
    if (input.datatype != wanted->datatype) {
      return absl::InvalidArgumentError(absl::StrCat("input ", input.name, ": wanted datatype ",
                                                     wanted->datatype, ", got ", input.datatype));
    }
    const std::vector<int64_t> shape = WireShape(*wanted, contract.batched);
    if (!Fits(shape, input.shape)) {
      return absl::InvalidArgumentError(absl::StrCat("input ", input.name, ": wanted shape ",
                                                     ShapeString(shape), ", got ",
                                                     ShapeString(input.shape)));
    }
    if (!contract.batched) continue;
    // Rows of no bytes would make the number of rows free to claim.
    if (std::count(input.shape.begin() + 1, input.shape.end(), 0) > 0) {
      return absl::InvalidArgumentError(absl::StrCat("input ", input.name,
                                                     ": wanted rows of at least 1 element, got shape ",
                                                     ShapeString(input.shape)));
    }
    if (rows >= 0 && input.shape[0] != rows) {
      return absl::InvalidArgumentError(absl::StrCat("input ", input.name, ": wanted ", rows,
                                                     " rows as input ", rows_of, ", got ",
                                                     input.shape[0]));
    }
    rows = input.shape[0];
    rows_of = input.name;
  }
  for (const PoolContract::Tensor& wanted : contract.inputs) {
    const auto is_wanted = [&](const TensorHeader& input) { return input.name == wanted.name; };
    if (std::none_of(header.inputs.begin(), header.inputs.end(), is_wanted)) {
      return absl::InvalidArgumentError(absl::StrCat("input ", wanted.name, " is missing: wanted ",
                                                     Names(contract.inputs), ", got ",
                                                     header.inputs.size(), " inputs"));
    }
  }
  for (const RequestedOutput& output : header.outputs) {
    if (Find(contract.outputs, output.name) == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("outputs: ", output.name,
                                                     " is unknown; known are ",
                                                     Names(contract.outputs)));
    }
    PENSTOCK_RETURN_IF_ERROR(CheckNoSharedMemory("output", output.name, output.parameters));
  }
  if (!contract.batched || rows < 0) return 1;
  if (rows == 0 && !allow_zero_rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("input ", rows_of, ": wanted at least 1 row, got 0"));
  }
  return rows;
}

absl::Status CheckResponse(const PoolContract& contract, const InferResponseHeader& header,
                           const std::vector<std::string>& wanted, int64_t rows) {
  for (const PoolContract::Tensor& output : contract.outputs) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), output.name) == wanted.end()) {
      continue;
    }
    const auto found = std::find_if(header.outputs.begin(), header.outputs.end(),
                                    [&](const TensorHeader& got) { return got.name == output.name; });
    if (found == header.outputs.end()) {
      return absl::InternalError(absl::StrCat("output ", output.name, " is missing"));
    }
    if (found->datatype != output.datatype) {
      return absl::InternalError(absl::StrCat("output ", output.name, ": wanted datatype ",
                                              output.datatype, ", got ", found->datatype));
    }
    std::vector<int64_t> shape = WireShape(output, contract.batched);
    if (contract.batched) shape[0] = rows;
    if (!Fits(shape, found->shape)) {
      return absl::InternalError(absl::StrCat("output ", output.name, ": wanted shape ",
                                              ShapeString(shape), ", got ",
                                              ShapeString(found->shape)));
    }
  }
  return absl::OkStatus();
}

}  // namespace penstock::router
