#include "cli/client/request_options.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/input/raw_rows.h"
#include "common/net/oip/oip_control_client.h"
#include "common/notification.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

using Json = nlohmann::json;

absl::Status Bad(absl::string_view input, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("--input ", input, ": ", what));
}

// Product of all dimensions but the first, where -1 counts as 1.
int64_t RowElements(const inference::ModelMetadataResponse::TensorMetadata& metadata) {
  int64_t elements = 1;
  for (int i = 1; i < metadata.shape_size(); ++i) elements *= std::max<int64_t>(1, metadata.shape(i));
  return elements;
}

// The contract's shape with its first variable dimension taking what `elements` leaves.
std::vector<int64_t> FitShape(const inference::ModelMetadataResponse::TensorMetadata& metadata,
                              int64_t elements) {
  std::vector<int64_t> shape(metadata.shape().begin(), metadata.shape().end());
  int64_t fixed = 1;
  int variable = -1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] >= 0) {
      fixed *= shape[i];
    } else if (variable < 0) {
      variable = static_cast<int>(i);
    } else {
      shape[i] = 1;
    }
  }
  if (variable >= 0) shape[static_cast<size_t>(variable)] = fixed > 0 ? elements / fixed : 0;
  return shape;
}

// Gives the tensor its shape, which the values must fill.
absl::Status SetShape(const std::string& input,
                      const inference::ModelMetadataResponse::TensorMetadata& metadata,
                      int64_t elements, Tensor& tensor) {
  tensor.shape = FitShape(metadata, elements);
  const absl::StatusOr<int64_t> wanted = ElementCount(tensor.shape);
  if (wanted.ok() && *wanted == elements) return absl::OkStatus();
  return Bad(input, absl::StrCat(
                        "wanted values of shape ",
                        ShapeString({metadata.shape().data(), static_cast<size_t>(metadata.shape_size())}),
                        ", got ", elements));
}

template <typename T>
void AppendRaw(T value, std::string& raw) {
  raw.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
absl::Status AppendInteger(const Json& value, DataType type, std::string& raw) {
  if (value.is_boolean()) {
    AppendRaw(static_cast<T>(value.get<bool>()), raw);
    return absl::OkStatus();
  }
  const bool fits = value.is_number_unsigned()
                        ? std::in_range<T>(value.get<uint64_t>())
                        : value.is_number_integer() && std::in_range<T>(value.get<int64_t>());
  if (!fits) {
    return absl::InvalidArgumentError(
        absl::StrCat("wanted an integer that fits ", DataTypeName(type), ", got ", value.dump()));
  }
  AppendRaw(value.get<T>(), raw);
  return absl::OkStatus();
}

absl::Status AppendElement(const Json& value, DataType type, std::string& raw) {
  const bool is_number = value.is_number() || value.is_boolean();
  if (type == DataType::kBytes) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    AppendRaw(static_cast<uint32_t>(text.size()), raw);
    raw += text;
    return absl::OkStatus();
  }
  if (!is_number) return absl::InvalidArgumentError(absl::StrCat("wanted a number, got ", value.dump()));
  const double number = value.is_boolean() ? value.get<bool>() : value.get<double>();
  switch (type) {
    case DataType::kBool: AppendRaw(static_cast<uint8_t>(number != 0), raw); break;
    case DataType::kUint8: return AppendInteger<uint8_t>(value, type, raw);
    case DataType::kUint16: return AppendInteger<uint16_t>(value, type, raw);
    case DataType::kUint32: return AppendInteger<uint32_t>(value, type, raw);
    case DataType::kUint64: return AppendInteger<uint64_t>(value, type, raw);
    case DataType::kInt8: return AppendInteger<int8_t>(value, type, raw);
    case DataType::kInt16: return AppendInteger<int16_t>(value, type, raw);
    case DataType::kInt32: return AppendInteger<int32_t>(value, type, raw);
    case DataType::kInt64: return AppendInteger<int64_t>(value, type, raw);
    case DataType::kFp32: AppendRaw(static_cast<float>(number), raw); break;
    case DataType::kFp64: AppendRaw(number, raw); break;
    case DataType::kFp16:
    case DataType::kBf16:
      return absl::InvalidArgumentError("FP16 and BF16 come from a file only");
    case DataType::kBytes: break;
  }
  return absl::OkStatus();
}

absl::Status AppendValues(const Json& value, DataType type, int64_t& elements, std::string& raw) {
  if (value.is_array()) {
    for (const Json& element : value) {
      PENSTOCK_RETURN_IF_ERROR(AppendValues(element, type, elements, raw));
    }
    return absl::OkStatus();
  }
  ++elements;
  return AppendElement(value, type, raw);
}

absl::StatusOr<Tensor> FromFile(const std::string& input, std::string path,
                                const inference::ModelMetadataResponse::TensorMetadata& metadata,
                                DataType type) {
  const size_t element = ElementSize(type);
  if (element == 0) return Bad(input, "BYTES do not come from a raw file");
  std::optional<uint64_t> row;
  if (const size_t hash = path.rfind('#'); hash != std::string::npos) {
    uint64_t number = 0;
    if (!absl::SimpleAtoi(path.substr(hash + 1), &number)) {
      return Bad(input, "wanted @FILE#ROW with a row from 0");
    }
    row = number;
    path.resize(hash);
  }
  const size_t row_bytes = static_cast<size_t>(RowElements(metadata)) * element;
  absl::StatusOr<std::string> raw = ReadRawRows(path, row_bytes, row);
  if (!raw.ok()) return Bad(input, raw.status().message());
  Tensor tensor;
  tensor.name = metadata.name();
  tensor.datatype = type;
  PENSTOCK_RETURN_IF_ERROR(
      SetShape(input, metadata, static_cast<int64_t>(raw->size() / element), tensor));
  tensor.data = Bytes(*std::move(raw));
  return tensor;
}

absl::StatusOr<Tensor> ParseInput(const std::string& input,
                                  const inference::ModelMetadataResponse& contract) {
  const size_t equals = input.find('=');
  if (equals == std::string::npos) return Bad(input, "wanted NAME=VALUE");
  const std::string name = input.substr(0, equals);
  const std::string value = input.substr(equals + 1);
  for (const auto& metadata : contract.inputs()) {
    if (metadata.name() != name) continue;
    const absl::StatusOr<DataType> known = ParseDataType(metadata.datatype());
    if (!known.ok()) return Bad(input, known.status().message());
    const DataType type = *known;
    if (!value.empty() && value[0] == '@') return FromFile(input, value.substr(1), metadata, type);
    Json json = Json::parse(value, nullptr, /*allow_exceptions=*/false);
    if (json.is_discarded()) {
      if (type != DataType::kBytes) return Bad(input, "wanted JSON or @FILE");
      json = value;
    }
    Tensor tensor;
    tensor.name = name;
    tensor.datatype = type;
    int64_t elements = 0;
    std::string raw;
    if (const absl::Status status = AppendValues(json, type, elements, raw); !status.ok()) {
      return Bad(input, status.message());
    }
    PENSTOCK_RETURN_IF_ERROR(SetShape(input, metadata, elements, tensor));
    tensor.data = Bytes(std::move(raw));
    return tensor;
  }
  std::string known;
  for (const auto& metadata : contract.inputs()) absl::StrAppend(&known, " ", metadata.name());
  return Bad(input, absl::StrCat("the pool has no input ", name, "; it has", known));
}

// Integers in full, where fp32 would round; nothing where the datatype is none.
template <typename T>
std::string ShowIntegerAs(absl::string_view raw, size_t index) {
  T value;
  std::memcpy(&value, raw.data() + index * sizeof(T), sizeof(T));
  return absl::StrCat(+value);
}

std::string ShowInteger(DataType type, absl::string_view raw, size_t index) {
  switch (type) {
    case DataType::kUint8: return ShowIntegerAs<uint8_t>(raw, index);
    case DataType::kUint16: return ShowIntegerAs<uint16_t>(raw, index);
    case DataType::kUint32: return ShowIntegerAs<uint32_t>(raw, index);
    case DataType::kUint64: return ShowIntegerAs<uint64_t>(raw, index);
    case DataType::kInt8: return ShowIntegerAs<int8_t>(raw, index);
    case DataType::kInt16: return ShowIntegerAs<int16_t>(raw, index);
    case DataType::kInt32: return ShowIntegerAs<int32_t>(raw, index);
    case DataType::kInt64: return ShowIntegerAs<int64_t>(raw, index);
    default: return "";
  }
}

// JSON has no NaN and no infinity.
std::string ShowFloat(float value) {
  return std::isfinite(value) ? absl::StrFormat("%.6g", value) : "null";
}

void AddNumber(const std::optional<double>& value, const char* name, InferRequest& request) {
  if (value.has_value()) request.parameters.push_back({name, *value});
}

void AddText(const std::string& value, const char* name, InferRequest& request) {
  if (!value.empty()) request.parameters.push_back({name, value});
}

}  // namespace

void AddClientOptions(CLI::App& command, ClientOptions& options) {
  command.add_option("--target", options.target, "HOST:PORT or unix:PATH of a gateway or router")
      ->capture_default_str();
  command.add_option("--api_key_file", options.api_key_file, "file with the API key");
  AddTlsOptions(command, options);
}

void AddTlsOptions(CLI::App& command, ClientOptions& options) {
  command.add_option("--ca,--ca_file", options.ca_file,
                     "PEM of the CA that signed the server; unset: plaintext");
  command.add_option("--cert", options.certificate_file,
                     "PEM of the certificate to show, for servers that want one");
  command.add_option("--key", options.key_file, "PEM of its key");
  command.add_option("--server_name", options.server_name,
                     "whom the server's certificate must name; unset: the address's host");
}

void AddRouterOption(CLI::App& command, ClientOptions& options) {
  command.add_option("--router", options.router,
                     "HOST:PORT of one router that trusts this caller, instead of a gateway");
}

void AddRequestOptions(CLI::App& command, RequestOptions& options) {
  AddClientOptions(command, options.client);
  command.add_option("--pool", options.pool, "pool to ask (its OIP model name)")->required();
  command.add_option("--input", options.inputs,
                     "NAME=VALUE: JSON, @FILE of raw values (or a pipe), or @FILE#ROW; 64 MiB at most;\n"
                     "repeat for several inputs")
      ->required();
  command.add_option("--latency_budget_ms", options.latency_budget_ms, "latency budget");
  command.add_option("--energy_budget_j", options.energy_budget_j, "limit on the predicted joules");
  command.add_option("--min_quality", options.min_quality, "predicted quality to reach, 0 to 1");
  command.add_option("--objective", options.objective, "quality, energy or latency");
  command.add_option("--experts", options.experts, "forced choice, comma-separated");
  command.add_option("--class", options.application_class, "application class");
  command.add_option("--timeout_s", options.timeout_s, "gRPC deadline, seconds")->capture_default_str();
}

absl::StatusOr<inference::ModelMetadataResponse> FetchMetadata(PoolClient& client,
                                                               const std::string& pool) {
  inference::ModelMetadataRequest request;
  request.set_name(pool);
  CallOptions options;
  options.metadata = client.metadata();
  options.deadline = absl::Now() + absl::Seconds(10);
  absl::StatusOr<inference::ModelMetadataResponse> metadata;
  Notification answered;
  OipControlClient control(client.target().rpc());
  control.ModelMetadata(request, std::move(options),
                        [&](absl::StatusOr<inference::ModelMetadataResponse> got) {
                          metadata = std::move(got);
                          answered.Notify();
                        });
  answered.Wait();
  return metadata;
}

absl::StatusOr<InferRequest> BuildRequest(const RequestOptions& options,
                                          const inference::ModelMetadataResponse& metadata) {
  InferRequest request;
  request.model_name = options.pool;
  for (const std::string& input : options.inputs) {
    PENSTOCK_ASSIGN_OR_RETURN(Tensor tensor, ParseInput(input, metadata));
    request.inputs.push_back(std::move(tensor));
  }
  AddNumber(options.latency_budget_ms, "penstock_latency_budget_ms", request);
  AddNumber(options.energy_budget_j, "penstock_energy_budget_j", request);
  AddNumber(options.min_quality, "penstock_min_quality", request);
  AddText(options.objective, "penstock_objective", request);
  AddText(options.experts, "penstock_experts", request);
  AddText(options.application_class, "penstock_class", request);
  return request;
}

std::string ShowValues(const Tensor& tensor, size_t most) {
  std::string text = "[";
  size_t count = 0;
  if (tensor.datatype == DataType::kBytes) {
    const auto strings = ToStrings(tensor);
    if (!strings.ok()) return std::string(strings.status().message());
    count = strings->size();
    for (size_t i = 0; i < std::min(most, count); ++i) {
      absl::StrAppend(&text, i == 0 ? "" : ", ", Json((*strings)[i]).dump(-1, ' ', false, Json::error_handler_t::replace));
    }
  } else {
    const auto floats = ToFloats(tensor);
    if (!floats.ok()) return std::string(floats.status().message());
    count = floats->size();
    std::string storage;
    const absl::string_view raw = tensor.data.Flat(storage);
    for (size_t i = 0; i < std::min(most, count); ++i) {
      const std::string integer = ShowInteger(tensor.datatype, raw, i);
      absl::StrAppend(&text, i == 0 ? "" : ", ",
                      integer.empty() ? ShowFloat((*floats)[i]) : integer);
    }
  }
  return absl::StrCat(text, count > most ? ", ..." : "", "]");
}

std::string ShowParameter(const ParameterValue& value) {
  struct Show {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(int64_t v) const { return absl::StrCat(v); }
    std::string operator()(uint64_t v) const { return absl::StrCat(v); }
    std::string operator()(double v) const { return absl::StrFormat("%.6g", v); }
    std::string operator()(const std::string& v) const { return v; }
  };
  return std::visit(Show{}, value);
}

}  // namespace penstock::cli
