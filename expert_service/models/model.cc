#include "expert_service/models/model.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "expert_service/models/block_factory.h"
#include "expert_service/models/block_tensors.h"

namespace penstock::expert {
namespace {

// A request whose values need more is refused: with variable dimensions a small message could
// otherwise ask for any amount of memory.
constexpr size_t kMaxValueBytes = size_t{1} << 30;

absl::Status At(size_t block, absl::string_view kind, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat("blocks[", block, "] ", kind, ": ", status.message()));
}

// "gated_mlp", as the configuration spells it.
std::string KindName(const config::v1::Block& block) {
  const auto* oneof = block.GetDescriptor()->FindOneofByName("kind");
  const auto* field = block.GetReflection()->GetOneofFieldDescriptor(block, oneof);
  return field == nullptr ? std::string() : field->name();
}

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
    return ValueShape{0, input.shape[0], 1, Element::kId};
  }
  if (input.shape.empty() || input.shape.size() > 2 || input.shape.back() == -1) {
    return absl::InvalidArgumentError(
        absl::StrCat("inputs[0].shape: wanted [dim] or [positions, dim] with dim fixed, found ",
                     ShapeString(input.shape)));
  }
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
                                                           const std::string& weights_path) {
  std::shared_ptr<Model> model(new Model());
  model->name_ = std::move(name);
  model->version_ = version;
  PENSTOCK_ASSIGN_OR_RETURN(model->contract_, ParseContract(config));
  PENSTOCK_RETURN_IF_ERROR(model->Build(config, weights, weights_path));
  return std::shared_ptr<const Model>(std::move(model));
}

absl::Status Model::Build(const config::v1::Model& config, const Safetensors* weights,
                          const std::string& weights_path) {
  if (config.blocks().empty()) return absl::InvalidArgumentError("blocks is empty");
  if (config.blocks_size() == 1 && config.blocks(0).has_identity()) {
    identity_ = true;
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
  std::vector<ValueShape> values;
  ValueShape shape = input_;
  for (int i = 0; i < config.blocks_size(); ++i) {
    const std::string kind = KindName(config.blocks(i));
    BlockTensors of_block(tensors, i);
    absl::StatusOr<std::unique_ptr<Block>> block = MakeBlock(config.blocks(i), of_block, shape);
    if (!block.ok()) return At(i, kind, block.status());
    for (const std::unique_ptr<Block>& earlier : blocks_) {
      if (earlier->views() > 1 && (*block)->views() > 1) {
        return At(i, kind, absl::InvalidArgumentError("may stand in a model once"));
      }
    }
    shape = (*block)->Output(shape);
    values.push_back(shape);
    blocks_.push_back(*std::move(block));
  }
  PENSTOCK_RETURN_IF_ERROR(tensors.CheckAllRead());
  for (int i = 0; i < config.outputs_size(); ++i) {
    PENSTOCK_RETURN_IF_ERROR(CheckOutput(config.outputs(i), i, values));
  }
  return absl::OkStatus();
}

absl::Status Model::CheckOutput(const config::v1::TensorSpec& spec, size_t index,
                                const std::vector<ValueShape>& values) {
  const std::string where = absl::StrCat("outputs[", index, "] ", spec.name());
  const size_t block = spec.has_block() ? spec.block() : values.size() - 1;
  if (block >= values.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ".block must be in [0, ", values.size() - 1, "], found ", block));
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
  if (identity_) return accepted;

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
  const int64_t vocabulary = blocks_[0]->vocabulary();
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
  value.data = arena.Take(Arena::kInput, value.shape.bytes());
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

Value Model::Average(const Value& value, int64_t views, Arena& arena) const {
  Value mean;
  mean.shape = value.shape;
  mean.shape.rows /= views;
  mean.data = arena.Take(Arena::kAverage, mean.shape.bytes());
  if (mean.shape.rows == 0) return mean;
  const int64_t size = mean.shape.elements() / mean.shape.rows;
  const float* from = value.floats();
  float* to = mean.floats();
  for (int64_t row = 0; row < mean.shape.rows; ++row, to += size) {
    std::copy_n(from, size, to);
    from += size;
    for (int64_t v = 1; v < views; ++v, from += size) {
      for (int64_t i = 0; i < size; ++i) to[i] += from[i];
    }
    for (int64_t i = 0; i < size; ++i) to[i] /= static_cast<float>(views);
  }
  return mean;
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
        const std::vector<std::string>& names = *blocks_[block]->names();
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

absl::Status Model::Run(absl::Span<const ModelCall> calls, Arena& arena) const {
  if (calls.empty()) return absl::OkStatus();
  for (const ModelCall& call : calls) call.outputs->resize(call.wanted.size());
  if (identity_) {
    for (const ModelCall& call : calls) {
      for (size_t i = 0; i < call.wanted.size(); ++i) {
        Tensor output = call.inputs->tensors[call.wanted[i]];
        output.name = contract_.outputs[call.wanted[i]].name;
        (*call.outputs)[i] = std::move(output);
      }
    }
    return absl::OkStatus();
  }

  const auto wanted = [&](size_t block) {
    return std::any_of(calls.begin(), calls.end(), [&](const ModelCall& call) {
      return std::any_of(call.wanted.begin(), call.wanted.end(),
                         [&](size_t output) { return output_block_[output] == block; });
    });
  };
  size_t last = 0;  // blocks after the last wanted one are not run
  for (size_t i = 0; i < blocks_.size(); ++i) {
    if (wanted(i)) last = i;
  }

  Value value = Gather(calls, arena);
  int64_t views = 1;
  for (size_t i = 0; i <= last; ++i) {
    const Block& block = *blocks_[i];
    if (block.names() != nullptr && views > 1) {
      value = Average(value, views, arena);
      views = 1;
    }
    Value next;
    next.shape = block.Output(value.shape);
    next.data = arena.Take(i % 2 == 0 ? Arena::kEven : Arena::kOdd, next.shape.bytes());
    PENSTOCK_RETURN_IF_ERROR(
        block.Run(value, next, arena.Scratch(block.WorkspaceBytes(value.shape))));
    value = next;
    views *= block.views();
    if (wanted(i)) Emit(i, views > 1 ? Average(value, views, arena) : value, calls);
  }
  return absl::OkStatus();
}

template <typename Visit>
void Model::Walk(ValueShape shape, Visit visit) const {
  int64_t views = 1;
  for (const std::unique_ptr<Block>& block : blocks_) {
    if (block->names() != nullptr) shape.rows /= views;
    visit(*block, shape);
    shape = block->Output(shape);
    views *= block->views();
  }
}

ModelWork Model::Work(int64_t rows, int64_t positions) const {
  ModelWork work;
  Walk(InputShape(rows, positions), [&](const Block& block, const ValueShape& in) {
    work.flops += block.Flops(in);
    work.weight_bytes += block.WeightBytes(in);
  });
  return work;
}

size_t Model::ValueBytes(int64_t rows, int64_t positions) const {
  // Accepted shapes fit a message, so elements of the input do not overflow; outputs might, hence
  // doubles.
  double most = 0;
  Walk(InputShape(rows, positions), [&](const Block& block, const ValueShape& in) {
    const ValueShape out = block.Output(in);
    for (const ValueShape& shape : {in, out}) {
      most = std::max(most, static_cast<double>(shape.rows) *
                                static_cast<double>(std::max<int64_t>(shape.positions, 1)) *
                                static_cast<double>(shape.dim) * 4);
    }
  });
  return most > 1e18 ? size_t{1'000'000'000'000'000'000} : static_cast<size_t>(most);
}

size_t Model::resident_bytes() const {
  size_t bytes = 0;
  for (const std::unique_ptr<Block>& block : blocks_) bytes += block->resident_bytes();
  return bytes;
}

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
  if (!identity_ && input_.has_positions()) inputs.positions = inputs.tensors[0].shape[1];
  return inputs;
}

}  // namespace penstock::expert
