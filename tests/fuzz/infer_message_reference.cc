#include "tests/fuzz/infer_message_reference.h"

#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/tensors/infer_message.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "inference/grpc_service.pb.h"

namespace penstock {
namespace {

using ParameterMap = google::protobuf::Map<std::string, inference::InferParameter>;

std::string Deterministic(const google::protobuf::MessageLite& message) {
  std::string out;
  {
    google::protobuf::io::StringOutputStream stream(&out);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return out;
}

bool Same(const ParameterValue& value, const inference::InferParameter& parameter) {
  switch (parameter.parameter_choice_case()) {
    case inference::InferParameter::kBoolParam:
      return value == ParameterValue(parameter.bool_param());
    case inference::InferParameter::kInt64Param:
      return value == ParameterValue(int64_t{parameter.int64_param()});
    case inference::InferParameter::kStringParam:
      return value == ParameterValue(parameter.string_param());
    case inference::InferParameter::kDoubleParam: {
      const double wanted = parameter.double_param();
      const double* got = std::get_if<double>(&value);
      return got != nullptr && std::memcmp(got, &wanted, sizeof(wanted)) == 0;  // NaN too
    }
    case inference::InferParameter::kUint64Param:
      return value == ParameterValue(uint64_t{parameter.uint64_param()});
    case inference::InferParameter::PARAMETER_CHOICE_NOT_SET:
      return std::holds_alternative<std::monostate>(value);
  }
  return false;
}

bool Same(const std::vector<Parameter>& scanned, const ParameterMap& parsed) {
  if (scanned.size() != parsed.size()) return false;
  for (const Parameter& parameter : scanned) {
    const auto it = parsed.find(parameter.name);
    if (it == parsed.end() || !Same(parameter.value, it->second)) return false;
  }
  return true;
}

size_t ValueCount(const inference::InferTensorContents& contents) {
  return contents.bool_contents_size() + contents.int_contents_size() +
         contents.int64_contents_size() + contents.uint_contents_size() +
         contents.uint64_contents_size() + contents.fp32_contents_size() +
         contents.fp64_contents_size() + contents.bytes_contents_size();
}

template <typename T, typename Values>
std::optional<std::string> Convert(const Values& values, size_t total) {
  if (static_cast<size_t>(values.size()) != total) return std::nullopt;  // others are set too
  std::string out;
  for (const auto value : values) {
    const T narrow = static_cast<T>(value);
    if (narrow != value && value == value) return std::nullopt;
    out.append(reinterpret_cast<const char*>(&narrow), sizeof(narrow));
  }
  return out;
}

void AppendElement(std::string& out, const std::string& element) {
  const uint32_t size = element.size();
  out.append(reinterpret_cast<const char*>(&size), sizeof(size));
  out.append(element);
}

// Raw contents of typed ones; nothing where the protocol forbids them.
std::optional<std::string> RawOf(const std::string& datatype,
                                 const inference::InferTensorContents& contents) {
  const size_t total = ValueCount(contents);
  if (datatype == "BOOL") return Convert<bool>(contents.bool_contents(), total);
  if (datatype == "INT8") return Convert<int8_t>(contents.int_contents(), total);
  if (datatype == "INT16") return Convert<int16_t>(contents.int_contents(), total);
  if (datatype == "INT32") return Convert<int32_t>(contents.int_contents(), total);
  if (datatype == "INT64") return Convert<int64_t>(contents.int64_contents(), total);
  if (datatype == "UINT8") return Convert<uint8_t>(contents.uint_contents(), total);
  if (datatype == "UINT16") return Convert<uint16_t>(contents.uint_contents(), total);
  if (datatype == "UINT32") return Convert<uint32_t>(contents.uint_contents(), total);
  if (datatype == "UINT64") return Convert<uint64_t>(contents.uint64_contents(), total);
  if (datatype == "FP32") return Convert<float>(contents.fp32_contents(), total);
  if (datatype == "FP64") return Convert<double>(contents.fp64_contents(), total);
  if (datatype == "FP16" || datatype == "BF16") {
    return total == 0 ? std::optional<std::string>("") : std::nullopt;
  }
  if (datatype == "BYTES") {
    if (static_cast<size_t>(contents.bytes_contents_size()) != total) return std::nullopt;
    std::string out;
    for (const std::string& element : contents.bytes_contents()) AppendElement(out, element);
    return out;
  }
  return std::nullopt;
}

size_t SizeOf(const std::string& datatype) {
  static const std::map<std::string, size_t> sizes = {
      {"BOOL", 1}, {"UINT8", 1}, {"UINT16", 2}, {"UINT32", 4}, {"UINT64", 8},
      {"INT8", 1}, {"INT16", 2}, {"INT32", 4},  {"INT64", 8},  {"FP16", 2},
      {"BF16", 2}, {"FP32", 4},  {"FP64", 8}};
  const auto it = sizes.find(datatype);
  return it == sizes.end() ? 0 : it->second;
}

bool RawFits(const std::string& datatype, __int128 count, const std::string& raw) {
  if (datatype != "BYTES") {
    return SizeOf(datatype) > 0 &&
           count * static_cast<__int128>(SizeOf(datatype)) == static_cast<__int128>(raw.size());
  }
  size_t at = 0;
  for (__int128 i = 0; i < count; ++i) {
    uint32_t size = 0;
    if (raw.size() - at < sizeof(size)) return false;
    std::memcpy(&size, raw.data() + at, sizeof(size));
    at += sizeof(size);
    if (size > raw.size() - at) return false;
    at += size;
  }
  return at == raw.size();
}

// The tensors' raw contents; nothing where the protocol's rules are broken.
template <typename Headers, typename Raws>
std::optional<std::vector<std::string>> ReferenceDecode(const Headers& headers, const Raws& raws) {
  if (!raws.empty() && raws.size() != headers.size()) return std::nullopt;
  std::vector<std::string> decoded;
  std::set<std::string> names;
  for (int i = 0; i < headers.size(); ++i) {
    const auto& header = headers.Get(i);
    if (!names.insert(header.name()).second) return std::nullopt;
    if (header.parameters().contains("shared_memory_region")) return std::nullopt;
    __int128 count = 1;
    bool has_zero = false;
    for (const int64_t dimension : header.shape()) {
      if (dimension < 0) return std::nullopt;
      has_zero |= dimension == 0;
      if (count <= INT64_MAX) count *= dimension;
    }
    if (has_zero) count = 0;
    if (count > INT64_MAX) return std::nullopt;
    std::string raw;
    if (raws.empty()) {
      const std::optional<std::string> converted = RawOf(header.datatype(), header.contents());
      if (!converted.has_value() || count != static_cast<__int128>(ValueCount(header.contents()))) {
        return std::nullopt;
      }
      raw = *converted;
    } else {
      if (ValueCount(header.contents()) > 0) return std::nullopt;
      raw = raws.Get(i);
    }
    if (!RawFits(header.datatype(), count, raw)) return std::nullopt;
    decoded.push_back(std::move(raw));
  }
  return decoded;
}

template <typename Headers>
std::string CompareHeaders(const std::vector<TensorHeader>& scanned, const Headers& parsed) {
  if (scanned.size() != static_cast<size_t>(parsed.size())) return "number of tensors";
  for (size_t i = 0; i < scanned.size(); ++i) {
    const auto& wanted = parsed.Get(i);
    if (scanned[i].name != wanted.name()) return absl::StrCat("name of tensor ", i);
    if (scanned[i].datatype != wanted.datatype()) return absl::StrCat("datatype of tensor ", i);
    if (scanned[i].shape != std::vector<int64_t>(wanted.shape().begin(), wanted.shape().end())) {
      return absl::StrCat("shape of tensor ", i);
    }
    if (!Same(scanned[i].parameters, wanted.parameters())) {
      return absl::StrCat("parameters of tensor ", i);
    }
    if (scanned[i].has_contents != (ValueCount(wanted.contents()) > 0)) {
      return absl::StrCat("contents of tensor ", i);
    }
  }
  return "";
}

template <typename Raws>
std::string CompareRaw(const Bytes& message, const std::vector<ByteRange>& scanned,
                       const Raws& parsed) {
  if (scanned.size() != static_cast<size_t>(parsed.size())) return "number of raw contents";
  for (size_t i = 0; i < scanned.size(); ++i) {
    if (message.Slice(scanned[i].offset, scanned[i].size).ToString() != parsed.Get(i)) {
      return absl::StrCat("raw contents ", i);
    }
  }
  return "";
}

std::string CompareDecoded(const absl::StatusOr<std::vector<Tensor>>& decoded,
                           const std::optional<std::vector<std::string>>& reference) {
  if (decoded.ok() != reference.has_value()) {
    return absl::StrCat("decoding: ", decoded.status().ToString(), ", the reference ",
                        reference.has_value() ? "accepts" : "refuses");
  }
  if (!decoded.ok()) return "";
  for (size_t i = 0; i < decoded->size(); ++i) {
    if ((*decoded)[i].data.ToString() != (*reference)[i]) {
      return absl::StrCat("decoded tensor ", i);
    }
  }
  return "";
}

// The same names, datatypes and shapes.
template <typename Tensors>
bool SameTensors(const Tensors& a, const Tensors& b) {
  if (a.size() != b.size()) return false;
  for (int i = 0; i < a.size(); ++i) {
    if (a.Get(i).name() != b.Get(i).name() || a.Get(i).datatype() != b.Get(i).datatype() ||
        !std::equal(a.Get(i).shape().begin(), a.Get(i).shape().end(), b.Get(i).shape().begin(),
                    b.Get(i).shape().end())) {
      return false;
    }
  }
  return true;
}

template <typename Header>
std::vector<OutParameter> OutParameters(const Header& header) {
  std::vector<OutParameter> parameters;
  for (const Parameter& parameter : header.parameters) {
    parameters.push_back({.name = parameter.name, .value = parameter.value});
  }
  return parameters;
}

std::string CompareEncodedRequest(const InferRequestHeader& header, std::vector<Tensor> inputs,
                                  const std::vector<std::string>& raw,
                                  const inference::ModelInferRequest& parsed) {
  const Bytes encoded = EncodeInferRequest({.model_name = header.model_name,
                                            .model_version = header.model_version,
                                            .id = header.id,
                                            .parameters = OutParameters(header),
                                            .inputs = std::move(inputs),
                                            .outputs = header.outputs});
  inference::ModelInferRequest again;
  if (!again.ParseFromString(encoded.ToString())) return "encoded request does not parse";
  if (again.model_name() != parsed.model_name() || again.id() != parsed.id() ||
      again.model_version() != parsed.model_version() ||
      !Same(header.parameters, again.parameters()) ||
      !SameTensors(again.inputs(), parsed.inputs()) ||
      again.outputs_size() != parsed.outputs_size()) {
    return "encoded request";
  }
  for (int i = 0; i < again.outputs_size(); ++i) {
    if (again.outputs(i).name() != parsed.outputs(i).name() ||
        !Same(header.outputs[i].parameters, again.outputs(i).parameters())) {
      return absl::StrCat("encoded output ", i);
    }
  }
  if (!std::equal(raw.begin(), raw.end(), again.raw_input_contents().begin(),
                  again.raw_input_contents().end())) {
    return "encoded raw contents";
  }
  return "";
}

}  // namespace

std::string DifferenceInRequest(const Bytes& message) {
  inference::ModelInferRequest parsed;
  const bool accepted = parsed.ParseFromString(message.ToString());
  const absl::StatusOr<InferRequestHeader> header = ScanInferRequest(message);
  if (header.ok() != accepted) {
    return absl::StrCat("protobuf ", accepted ? "accepts" : "refuses",
                        ", the scanner: ", header.status().ToString());
  }
  const absl::StatusOr<std::string> name = ScanModelName(message);
  if (!accepted) return "";
  if (!name.ok() || *name != parsed.model_name()) return "ScanModelName";
  if (header->model_name != parsed.model_name()) return "model_name";
  if (header->model_version != parsed.model_version()) return "model_version";
  if (header->id != parsed.id()) return "id";
  if (!Same(header->parameters, parsed.parameters())) return "parameters";
  if (std::string difference = CompareHeaders(header->inputs, parsed.inputs());
      !difference.empty()) {
    return difference;
  }
  if (header->outputs.size() != static_cast<size_t>(parsed.outputs_size())) return "outputs";
  for (size_t i = 0; i < header->outputs.size(); ++i) {
    if (header->outputs[i].name != parsed.outputs(i).name() ||
        !Same(header->outputs[i].parameters, parsed.outputs(i).parameters())) {
      return absl::StrCat("output ", i);
    }
  }
  if (std::string difference = CompareRaw(message, header->raw_inputs, parsed.raw_input_contents());
      !difference.empty()) {
    return difference;
  }

  const Bytes edited = EditInferRequest(message, {.cut = header->parameter_ranges,
                                                  .model_name = "expert",
                                                  .set_model_version = true,
                                                  .model_version = ""});
  inference::ModelInferRequest edited_parsed, wanted = parsed;
  for (const auto& [key, value] : parsed.parameters()) {
    if (absl::StartsWith(key, "penstock_")) wanted.mutable_parameters()->erase(key);
  }
  wanted.set_model_name("expert");
  wanted.clear_model_version();
  if (!edited_parsed.ParseFromString(edited.ToString()) ||
      Deterministic(edited_parsed) != Deterministic(wanted)) {
    return "edited request";
  }

  const auto reference = ReferenceDecode(parsed.inputs(), parsed.raw_input_contents());
  const absl::StatusOr<std::vector<Tensor>> decoded = DecodeInputs(message, *header);
  if (std::string difference = CompareDecoded(decoded, reference); !difference.empty()) {
    return difference;
  }
  return decoded.ok() ? CompareEncodedRequest(*header, *decoded, *reference, parsed) : "";
}

std::string DifferenceInResponse(const Bytes& message) {
  inference::ModelInferResponse parsed;
  const bool accepted = parsed.ParseFromString(message.ToString());
  const absl::StatusOr<InferResponseHeader> header = ScanInferResponse(message);
  if (header.ok() != accepted) {
    return absl::StrCat("protobuf ", accepted ? "accepts" : "refuses",
                        ", the scanner: ", header.status().ToString());
  }
  if (!accepted) return "";
  if (header->model_name != parsed.model_name()) return "model_name";
  if (header->model_version != parsed.model_version()) return "model_version";
  if (header->id != parsed.id()) return "id";
  if (!Same(header->parameters, parsed.parameters())) return "parameters";
  if (std::string difference = CompareHeaders(header->outputs, parsed.outputs());
      !difference.empty()) {
    return difference;
  }
  if (std::string difference =
          CompareRaw(message, header->raw_outputs, parsed.raw_output_contents());
      !difference.empty()) {
    return difference;
  }

  const Bytes appended =
      AppendToInferResponse(message, "pool", "1", {{.name = "penstock_energy_j", .value = 0.5}});
  inference::ModelInferResponse appended_parsed, wanted = parsed;
  wanted.set_model_name("pool");
  wanted.set_model_version("1");
  // The entry is replaced, not merged.
  wanted.mutable_parameters()->erase("penstock_energy_j");
  (*wanted.mutable_parameters())["penstock_energy_j"].set_double_param(0.5);
  if (!appended_parsed.ParseFromString(appended.ToString()) ||
      Deterministic(appended_parsed) != Deterministic(wanted)) {
    return "appended response";
  }

  const auto reference = ReferenceDecode(parsed.outputs(), parsed.raw_output_contents());
  const absl::StatusOr<std::vector<Tensor>> decoded = DecodeOutputs(message, *header);
  if (std::string difference = CompareDecoded(decoded, reference); !difference.empty()) {
    return difference;
  }
  if (!decoded.ok()) return "";
  const Bytes encoded = EncodeInferResponse({.model_name = header->model_name,
                                             .model_version = header->model_version,
                                             .id = header->id,
                                             .parameters = OutParameters(*header),
                                             .outputs = *decoded});
  inference::ModelInferResponse again;
  if (!again.ParseFromString(encoded.ToString()) || again.model_name() != parsed.model_name() ||
      again.model_version() != parsed.model_version() || again.id() != parsed.id() ||
      !Same(header->parameters, again.parameters()) ||
      !SameTensors(again.outputs(), parsed.outputs()) ||
      !std::equal(reference->begin(), reference->end(), again.raw_output_contents().begin(),
                  again.raw_output_contents().end())) {
    return "encoded response";
  }
  return "";
}

}  // namespace penstock
