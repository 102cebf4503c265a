#include <cstring>
#include <string>
#include <utility>
#include <variant>

#include "common/tensors/bytes_cursor.h"
#include "common/tensors/infer_message.h"
#include "common/tensors/wire_reader.h"

namespace penstock {
namespace {

void AppendVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void AppendTag(std::string& out, uint32_t field, WireReader::WireType type) {
  AppendVarint(out, WireReader::Tag(field, type));
}

void AppendField(std::string& out, uint32_t field, absl::string_view value) {
  AppendTag(out, field, WireReader::kLength);
  AppendVarint(out, value.size());
  out.append(value.data(), value.size());
}

// proto3 leaves empty strings out.
void AppendUnlessEmpty(std::string& out, uint32_t field, absl::string_view value) {
  if (!value.empty()) AppendField(out, field, value);
}

// A member of the oneof InferParameter.parameter_choice.
struct ValueWriter {
  std::string& out;

  void operator()(std::monostate) const {}
  void operator()(bool value) const {
    AppendTag(out, 1, WireReader::kVarint);
    AppendVarint(out, value ? 1 : 0);
  }
  void operator()(int64_t value) const {
    AppendTag(out, 2, WireReader::kVarint);
    AppendVarint(out, static_cast<uint64_t>(value));
  }
  void operator()(const std::string& value) const { AppendField(out, 3, value); }
  void operator()(double value) const {
    AppendTag(out, 4, WireReader::kFixed64);
    out.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void operator()(uint64_t value) const {
    AppendTag(out, 5, WireReader::kVarint);
    AppendVarint(out, value);
  }
};

void AppendParameter(std::string& out, uint32_t field, absl::string_view name,
                     const ParameterValue& value) {
  std::string choice;
  std::visit(ValueWriter{choice}, value);
  std::string entry;
  AppendField(entry, 1, name);
  AppendField(entry, 2, choice);
  AppendField(out, field, entry);
}

// InferInputTensor and InferOutputTensor, without contents.
void AppendTensorHeader(std::string& out, const Tensor& tensor) {
  std::string shape;
  for (const int64_t dimension : tensor.shape) {
    AppendVarint(shape, static_cast<uint64_t>(dimension));
  }
  std::string header;
  AppendUnlessEmpty(header, 1, tensor.name);
  AppendField(header, 2, DataTypeName(tensor.datatype));
  AppendUnlessEmpty(header, 3, shape);
  AppendField(out, 5, header);
}

// One raw contents field each, so that positions match; `text` is what stands before them.
Bytes WithRawContents(std::string text, const std::vector<Tensor>& tensors, uint32_t field) {
  Bytes message;
  for (const Tensor& tensor : tensors) {
    AppendTag(text, field, WireReader::kLength);
    AppendVarint(text, tensor.data.size());
    if (tensor.data.empty()) continue;
    message.Append(std::exchange(text, std::string()));
    message.Append(tensor.data);
  }
  message.Append(std::move(text));
  return message;
}

// Fields 1 to 4 are the same in requests and responses.
template <typename Message>
std::string CommonFields(const Message& message) {
  std::string out;
  AppendUnlessEmpty(out, 1, message.model_name);
  AppendUnlessEmpty(out, 2, message.model_version);
  AppendUnlessEmpty(out, 3, message.id);
  for (const OutParameter& parameter : message.parameters) {
    AppendParameter(out, 4, parameter.name, parameter.value);
  }
  return out;
}

}  // namespace

Bytes EncodeInferRequest(const InferRequest& request) {
  std::string text = CommonFields(request);
  for (const Tensor& input : request.inputs) AppendTensorHeader(text, input);
  for (const RequestedOutput& output : request.outputs) {
    std::string requested;
    AppendUnlessEmpty(requested, 1, output.name);
    for (const Parameter& parameter : output.parameters) {
      AppendParameter(requested, 2, parameter.name, parameter.value);
    }
    AppendField(text, 6, requested);
  }
  return WithRawContents(std::move(text), request.inputs, 7);
}

Bytes EncodeInferResponse(const InferResponse& response) {
  std::string text = CommonFields(response);
  for (const Tensor& output : response.outputs) AppendTensorHeader(text, output);
  return WithRawContents(std::move(text), response.outputs, 6);
}

Bytes EditInferRequest(const Bytes& message, const RequestEdit& edit) {
  Bytes edited;
  BytesCursor cursor(message);
  for (const ByteRange& range : edit.cut) {
    edited.Append(cursor.ReadSlice(range.offset - cursor.offset()));
    cursor.Skip(range.size);
  }
  edited.Append(cursor.ReadSlice(cursor.remaining()));
  std::string fields;
  if (!edit.model_name.empty()) AppendField(fields, 1, edit.model_name);
  if (edit.set_model_version) AppendField(fields, 2, edit.model_version);
  edited.Append(std::move(fields));
  return edited;
}

Bytes AppendToInferResponse(const Bytes& message, absl::string_view model_name,
                            absl::string_view model_version,
                            const std::vector<OutParameter>& parameters) {
  std::string fields;
  AppendField(fields, 1, model_name);
  AppendField(fields, 2, model_version);
  for (const OutParameter& parameter : parameters) {
    AppendParameter(fields, 4, parameter.name, parameter.value);
  }
  Bytes appended = message;
  appended.Append(std::move(fields));
  return appended;
}

}  // namespace penstock
