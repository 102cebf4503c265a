#include "expert_service/models/model.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/block_tensors.h"

namespace penstock::expert {
namespace {

// A request whose values need more is refused: with variable dimensions a small message could
// otherwise ask for any amount of memory.
constexpr size_t kMaxValueBytes = size_t{1} << 30;

absl::StatusOr<ValueShape> FirstValue(const TensorContract& input, bool ids) {
  ValueShape shape;
  if (input.datatype == DataType::kBytes) {
    return absl::InvalidArgumentError(
        "inputs[0].datatype: only identity takes BYTES, wanted a numeric datatype");
  }
  if (ids) {
    if (input.datatype != DataType::kInt32 && input.datatype != DataType::kInt64) {
      return absl::InvalidArgumentError(
          absl::StrCat("inputs[0].datatype: embedding takes INT32 or INT64, found ",
                       DataTypeName(input.datatype)));
    }
    if (input.shape.size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "inputs[0].shape: embedding takes [positions], found ", ShapeString(input.shape)));
    }
    return ValueShape{1, input.shape[0], 1, Element::kId};
  }
  if (input.shape.empty() || input.shape.size() > 2 || input.shape.back() == -1) {
    return absl::InvalidArgumentError(
        absl::StrCat("inputs[0].shape: wanted [dim] or [positions, dim] with dim fixed, found ",
                     ShapeString(input.shape)));
  }
  shape.rows = 1;
  shape.dim = input.shape.back();
  if (input.shape.size() == 2) shape.positions = input.shape[0];
  return shape;
}

int64_t IdAt(DataType datatype, const char* data, int64_t index) {
  if (datatype == DataType::kInt32) {
    int32_t id;
    std::memcpy(&id, data + index * 4, 4);
    return id;
  }
  int64_t id;
  std::memcpy(&id, data + index * 8, 8);
  return id;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Model>> Model::Create(const config::v1::Model& config,
                                                           std::string name, int64_t version,
                                                           const Safetensors* weights,
                                                           const std::string& weights_path,
                                                           std::string content_digest) {
  std::shared_ptr<Model> model(new Model());
  model->name_ = std::move(name);
  model->version_ = version;
  model->content_digest_ = std::move(content_digest);
  PENSTOCK_ASSIGN_OR_RETURN(model->contract_, ParseContract(config));
  PENSTOCK_RETURN_IF_ERROR(model->Build(config, weights, weights_path));
  return std::shared_ptr<const Model>(std::move(model));
}

absl::Status Model::Build(const config::v1::Model& config, const Safetensors* weights,
                          const std::string& weights_path) {
  if (config.blocks().empty()) return absl::InvalidArgumentError("blocks is empty");
  if (config.blocks_size() == 1 && config.blocks(0).has_identity()) {
    if (contract_.inputs.size() != contract_.outputs.size()) {
      return absl::InvalidArgumentError(absl::StrCat("identity: wanted as many outputs as inputs (",
                                                     contract_.inputs.size(), "), found ",
                                                     contract_.outputs.size()));
    }
    for (size_t i = 0; i < contract_.inputs.size(); ++i) {
      const TensorContract& in = contract_.inputs[i];
      const TensorContract& out = contract_.outputs[i];
      if (in.datatype != out.datatype || in.shape != out.shape) {
        return absl::InvalidArgumentError(
            absl::StrCat("outputs[", i, "]: identity gives ", DataTypeName(in.datatype), " ",
                         ShapeString(in.shape), ", found ", DataTypeName(out.datatype), " ",
                         ShapeString(out.shape)));
      }
    }
    return absl::OkStatus();
  }
  if (!contract_.has_rows()) {
    return absl::InvalidArgumentError("batching.max_rows: only identity may have 0");
  }
  if (contract_.inputs.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("inputs: blocks apply to one input, found ", contract_.inputs.size()));
  }
  PENSTOCK_ASSIGN_OR_RETURN(input_,
                            FirstValue(contract_.inputs[0], config.blocks(0).has_embedding()));

  ModelTensors tensors(weights, weights_path);
  PENSTOCK_ASSIGN_OR_RETURN(chain_, BlockChain::Create(config, tensors, input_));
  PENSTOCK_RETURN_IF_ERROR(tensors.CheckAllRead());
  for (int i = 0; i < config.outputs_size(); ++i) {
    PENSTOCK_RETURN_IF_ERROR(CheckOutput(config.outputs(i), i));
  }
  return absl::OkStatus();
}

absl::Status Model::CheckOutput(const config::v1::TensorSpec& spec, size_t index) {
  const std::vector<ValueShape>& values = chain_->values();
  const std::string where = absl::StrCat("outputs[", index, "] ", spec.name());
  const size_t block = spec.has_block() ? spec.block() : values.size() - 1;
  if (block >= values.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ".block must be in [0, ", values.size() - 1, "], found ", block));
  }
  if (chain_->MayLack(block)) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ".block: rows that left at exit_head have no value of blocks[", block,
                     "]: wanted one before it, itself where it is the first, or the answer"));
  }
  const ValueShape& value = values[block];
  const TensorContract& output = contract_.outputs[index];
  const bool labels = value.element == Element::kLabel;
  const DataType datatype = labels ? DataType::kBytes : DataType::kFp32;
  if (output.datatype != datatype) {
    return absl::InvalidArgumentError(absl::StrCat(where, ".datatype: blocks[", block, "] gives ",
                                                   DataTypeName(datatype), ", found ",
                                                   DataTypeName(output.datatype)));
  }
  std::vector<int64_t> shape;
  if (value.has_positions()) shape.push_back(value.positions);
  shape.push_back(value.dim);
  bool fits = shape.size() == output.shape.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    fits = output.shape[i] == shape[i] || output.shape[i] == -1;
  }
  if (!fits) {
    return absl::InvalidArgumentError(absl::StrCat(where, ".shape: blocks[", block, "] gives ",
                                                   ShapeString(shape), ", found ",
                                                   ShapeString(output.shape)));
  }
  output_block_.push_back(block);
  return absl::OkStatus();
}

absl::StatusOr<ModelInputs> Model::Accept(std::vector<Tensor> inputs) const {
  PENSTOCK_ASSIGN_OR_RETURN(ContractInputs matched, MatchInputs(contract_, std::move(inputs)));
  ModelInputs accepted;
  accepted.rows = matched.rows;
  accepted.tensors = std::move(matched.tensors);
  if (!chain_) return accepted;

  const Tensor& first = accepted.tensors[0];
  if (input_.has_positions()) {
    accepted.positions = first.shape[1];
    if (accepted.positions < 1) {
      return absl::InvalidArgumentError(absl::StrCat("input ", first.name,
                                                     ": wanted at least 1 position, got shape ",
                                                     ShapeString(first.shape)));
    }
  }
  if (ValueBytes(accepted.rows, accepted.positions) > kMaxValueBytes) {
    return absl::InvalidArgumentError(absl::StrCat("input ", first.name, ": shape ",
                                                   ShapeString(first.shape), " needs more than ",
                                                   kMaxValueBytes, " bytes between blocks"));
  }
  if (input_.element == Element::kId) PENSTOCK_RETURN_IF_ERROR(CheckIds(first));
  return accepted;
}

absl::Status Model::CheckIds(const Tensor& tensor) const {
  const int64_t vocabulary = chain_->block(0).vocabulary();
  std::string storage;
  const absl::string_view data = tensor.data.Flat(storage);
  const int64_t count = static_cast<int64_t>(data.size() / ElementSize(tensor.datatype));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t id = IdAt(tensor.datatype, data.data(), i);
    if (id < 0 || id >= vocabulary) {
      return absl::InvalidArgumentError(absl::StrCat("input ", tensor.name, ": wanted ids in [0, ",
                                                     vocabulary, "), got ", id, " at element ", i));
    }
  }
  return absl::OkStatus();
}

ValueShape Model::InputShape(int64_t rows, int64_t positions) const {
  ValueShape shape = input_;
  shape.rows = rows;
  if (shape.has_positions()) shape.positions = positions == kNoPositions ? 1 : positions;
  return shape;
}

Value Model::Gather(absl::Span<const ModelCall> calls, Arena& arena) const {
  int64_t rows = 0;
  for (const ModelCall& call : calls) rows += call.inputs->rows;
  Value value;
  value.shape = InputShape(rows, calls[0].inputs->positions);
  value.data = arena.Take(Arena::kValues, value.shape.bytes());
  int64_t at = 0;
  for (const ModelCall& call : calls) {
    const Tensor& tensor = call.inputs->tensors[0];
    const int64_t count = value.shape.elements() / rows * call.inputs->rows;
    if (input_.element == Element::kId) {
      std::string storage;
      const absl::string_view data = tensor.data.Flat(storage);
      for (int64_t i = 0; i < count; ++i) {
        value.ids()[at + i] = static_cast<int32_t>(IdAt(tensor.datatype, data.data(), i));
      }
    } else if (tensor.datatype == DataType::kFp32) {
      tensor.data.CopyTo(value.floats() + at);
    } else {
      // Cannot fail: sizes and datatype were checked when the request was accepted.
      const absl::StatusOr<std::vector<float>> floats = ToFloats(tensor);
      if (floats.ok()) std::copy(floats->begin(), floats->end(), value.floats() + at);
    }
    at += count;
  }
  return value;
}

void Model::Emit(size_t block, const Value& value, absl::Span<const ModelCall> calls) const {
  const int64_t per_row = value.shape.elements() / value.shape.rows;
  int64_t at = 0;
  for (const ModelCall& call : calls) {
    const int64_t count = per_row * call.inputs->rows;
    for (size_t i = 0; i < call.wanted.size(); ++i) {
      if (output_block_[call.wanted[i]] != block) continue;
      const std::string& name = contract_.outputs[call.wanted[i]].name;
      std::vector<int64_t> shape = {call.inputs->rows};
      if (value.shape.has_positions()) shape.push_back(value.shape.positions);
      shape.push_back(value.shape.dim);
      if (value.shape.element == Element::kLabel) {
        const std::vector<std::string>& names = *chain_->block(block).names();
        std::vector<std::string> labels;
        for (int64_t row = 0; row < count; ++row) labels.push_back(names[value.ids()[at + row]]);
        (*call.outputs)[i] = StringTensor(name, std::move(shape), labels);
      } else {
        (*call.outputs)[i] =
            FloatTensor(name, std::move(shape), absl::MakeConstSpan(value.floats() + at, count));
      }
    }
    at += count;
  }
}

absl::Status Model::Run(absl::Span<const ModelCall> calls, Arena& arena, ModelRun* run,
                        Exits exits) const {
  if (run != nullptr) *run = {run->clock, {}, std::vector<double>(calls.size()), 0, {}};
  if (calls.empty()) return absl::OkStatus();
  for (const ModelCall& call : calls) call.outputs->resize(call.wanted.size());
  if (!chain_) {
    for (const ModelCall& call : calls) {
      for (size_t i = 0; i < call.wanted.size(); ++i) {
        Tensor output = call.inputs->tensors[call.wanted[i]];
        output.name = contract_.outputs[call.wanted[i]].name;
        (*call.outputs)[i] = std::move(output);
      }
    }
    return absl::OkStatus();
  }

  std::vector<bool> wanted(chain_->size());
  for (const ModelCall& call : calls) {
    for (const size_t output : call.wanted) wanted[output_block_[output]] = true;
  }
  ChainCosts costs;
  if (run != nullptr) costs.clock = run->clock;
  const absl::Status status = chain_->Run(
      Gather(calls, arena), wanted, exits, arena,
      [&](size_t block, const Value& value) { Emit(block, value, calls); },
      run == nullptr ? nullptr : &costs);
  if (run == nullptr) return status;
  size_t row = 0;
  for (size_t i = 0; i < calls.size(); ++i) {
    const size_t end = row + static_cast<size_t>(calls[i].inputs->rows);
    for (; row < end; ++row) run->flops[i] += costs.flops[row];
  }
  run->blocks = std::move(costs.blocks);
  run->weight_bytes = costs.weight_bytes;
  run->ended = std::move(costs.ended);
  return status;
}

ModelWork Model::Work(int64_t rows, int64_t positions) const {
  return chain_ ? chain_->Work(InputShape(rows, positions)) : ModelWork();
}

size_t Model::ValueBytes(int64_t rows, int64_t positions) const {
  return chain_ ? chain_->ValueBytes(InputShape(rows, positions)) : 0;
}

size_t Model::resident_bytes() const { return chain_ ? chain_->resident_bytes() : 0; }

ModelInputs Model::ZeroInputs(int64_t rows) const {
  ModelInputs inputs;
  inputs.rows = contract_.has_rows() ? rows : 1;
  for (const TensorContract& input : contract_.inputs) {
    Tensor tensor{input.name, input.datatype, contract_.WireShape(input), Bytes()};
    if (contract_.has_rows()) tensor.shape[0] = rows;
    int64_t count = 1;
    for (int64_t& dimension : tensor.shape) {
      if (dimension == -1) dimension = 1;
      count *= dimension;
    }
    // For BYTES four zero bytes are an empty string.
    const size_t size = std::max<size_t>(ElementSize(input.datatype), 1) *
                        (input.datatype == DataType::kBytes ? 4 : 1);
    tensor.data = Bytes(std::string(static_cast<size_t>(count) * size, '\0'));
    inputs.tensors.push_back(std::move(tensor));
  }
  if (chain_ && input_.has_positions()) inputs.positions = inputs.tensors[0].shape[1];
  return inputs;
}

}  // namespace penstock::expert
