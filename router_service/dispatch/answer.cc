#include "router_service/dispatch/answer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "common/tensors/datatype.h"
#include "google/protobuf/util/json_util.h"
#include "router_service/combining/row_scatter.h"
#include "router_service/refusals/refusal.h"

namespace penstock::router {
namespace {

void AppendVarint(uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void AppendString(char tag, absl::string_view value, std::string& out) {
  out.push_back(tag);
  AppendVarint(value.size(), out);
  absl::StrAppend(&out, value);
}

bool Asked(const RouteRequest& request, absl::string_view output) {
  const auto& outputs = request.header.outputs;
  return std::any_of(outputs.begin(), outputs.end(),
                     [&](const RequestedOutput& item) { return item.name == output; });
}

// ModelInferRequest.outputs (field 6) with a name (field 1): a repeated field grows by appending.
std::string OutputField(absl::string_view name) {
  constexpr char kOutputs = (6 << 3) | 2;
  constexpr char kName = (1 << 3) | 2;
  std::string output, field;
  AppendString(kName, name, output);
  AppendString(kOutputs, output, field);
  return field;
}

// ModelInferResponse.id (field 3): the last value counts.
std::string IdField(absl::string_view id) {
  constexpr char kId = (3 << 3) | 2;
  std::string field;
  AppendString(kId, id, field);
  return field;
}

std::vector<std::string> WantedNames(const RouteRequest& request, absl::string_view also_output) {
  std::vector<std::string> names;
  for (const RequestedOutput& output : request.header.outputs) names.push_back(output.name);
  if (!names.empty() && !also_output.empty() && !Asked(request, also_output)) {
    names.emplace_back(also_output);
  }
  return names;
}

std::string Json(const v1::Decision& decision) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(decision, &json, options).ok()) return "{}";
  return json;
}

}  // namespace

Bytes ExpertRequest(const RouteRequest& request, const PoolExpert& expert,
                    absl::string_view also_output) {
  RequestEdit edit;
  edit.cut = request.header.parameter_ranges;
  edit.model_name = expert.model;
  edit.set_model_version = true;
  edit.model_version = expert.version;
  Bytes out = EditInferRequest(request.message, edit);
  if (!also_output.empty() && !request.header.outputs.empty() && !Asked(request, also_output)) {
    out.Append(OutputField(also_output));
  }
  if (!expert.parameters.empty()) {
    // Messages one after the other merge, and of a map's entries the last of a name counts.
    InferRequest more;
    more.parameters = expert.parameters;
    out.Append(EncodeInferRequest(more));
  }
  return out;
}

absl::StatusOr<Bytes> RowExpertRequest(const RouteRequest& request, const PoolExpert& expert,
                                       absl::Span<const int32_t> rows) {
  // All rows in their own order: the caller's bytes will do.
  if (static_cast<int64_t>(rows.size()) == request.rows) return ExpertRequest(request, expert, "");
  InferRequest out;
  out.model_name = expert.model;
  out.model_version = expert.version;
  out.id = request.header.id;
  for (const Parameter& parameter : request.header.parameters) {
    if (absl::StartsWith(parameter.name, "penstock_")) continue;
    out.parameters.push_back({parameter.name, parameter.value});
  }
  out.parameters.insert(out.parameters.end(), expert.parameters.begin(), expert.parameters.end());
  out.outputs = request.header.outputs;
  for (const Tensor& input : request.inputs) {
    PENSTOCK_ASSIGN_OR_RETURN(Tensor part, GatherRows(input, rows));
    out.inputs.push_back(std::move(part));
  }
  return EncodeInferRequest(out);
}

absl::Status CheckAnswer(const RouteRequest& request, int64_t rows, absl::string_view also_output,
                         const Bytes& body) {
  auto header = ScanInferResponse(body);
  if (!header.ok()) return absl::InternalError(header.status().message());
  PENSTOCK_RETURN_IF_ERROR(CheckResponse(request.pool->rooms->contract, *header,
                                         WantedNames(request, also_output), rows));
  if (absl::Status status = DecodeOutputs(body, *header).status(); !status.ok()) {
    return absl::InternalError(status.message());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Tensor>> DecodeAnswer(const Bytes& body) {
  PENSTOCK_ASSIGN_OR_RETURN(const InferResponseHeader header, ScanInferResponse(body));
  return DecodeOutputs(body, header);
}

std::vector<Tensor> WantedOutputs(const RouteRequest& request, std::vector<Tensor> outputs) {
  std::vector<Tensor> wanted;
  for (const PoolContract::Tensor& item : request.pool->rooms->contract.outputs) {
    if (!request.header.outputs.empty() && !Asked(request, item.name)) continue;
    const auto found = std::find_if(outputs.begin(), outputs.end(),
                                    [&](const Tensor& tensor) { return tensor.name == item.name; });
    if (found != outputs.end()) wanted.push_back(std::move(*found));
  }
  return wanted;
}

absl::StatusOr<Bytes> PassAnswer(const RouteRequest& request, const Bytes& body,
                                 const std::vector<OutParameter>& parameters) {
  PENSTOCK_ASSIGN_OR_RETURN(const InferResponseHeader header, ScanInferResponse(body));
  const auto& contract = request.pool->rooms->contract.outputs;
  const size_t wanted =
      request.header.outputs.empty() ? contract.size() : request.header.outputs.size();
  const bool raw = header.raw_outputs.size() == header.outputs.size();
  if (raw && header.outputs.size() == wanted) {
    Bytes out =
        AppendToInferResponse(body, request.pool->name(), Pool::kVersion, parameters);
    // Not every server says whose answer it is.
    if (header.id != request.header.id) out.Append(IdField(request.header.id));
    return out;
  }
  PENSTOCK_ASSIGN_OR_RETURN(std::vector<Tensor> outputs, DecodeOutputs(body, header));
  std::vector<OutParameter> all;
  for (const Parameter& parameter : header.parameters) {
    all.push_back({parameter.name, parameter.value});
  }
  all.insert(all.end(), parameters.begin(), parameters.end());
  return MakeAnswer(request, std::move(outputs), std::move(all));
}

Bytes MakeAnswer(const RouteRequest& request, std::vector<Tensor> outputs,
                 std::vector<OutParameter> parameters) {
  InferResponse response;
  response.model_name = request.pool->name();
  response.model_version = Pool::kVersion;
  response.id = request.header.id;
  response.parameters = std::move(parameters);
  response.outputs = WantedOutputs(request, std::move(outputs));
  return EncodeInferResponse(response);
}

std::vector<Tensor> EmptyOutputs(const RouteRequest& request) {
  std::vector<Tensor> outputs;
  for (const PoolContract::Tensor& item : request.pool->rooms->contract.outputs) {
    Tensor tensor;
    tensor.name = item.name;
    // The contract's names were checked when it came.
    tensor.datatype = ParseDataType(item.datatype).value_or(DataType::kFp32);
    tensor.shape.push_back(0);
    for (const int64_t size : item.shape) tensor.shape.push_back(std::max<int64_t>(size, 0));
    outputs.push_back(std::move(tensor));
  }
  return outputs;
}

std::vector<OutParameter> AnswerParameters(const v1::Decision& decision,
                                           const std::vector<Answerer>& answerers, bool explain) {
  const auto name = [](std::string* out, const Answerer& item) {
    absl::StrAppend(out, item.expert);
  };
  const auto weight = [](std::string* out, const Answerer& item) {
    absl::StrAppend(out, item.weight);
  };
  std::vector<OutParameter> parameters;
  parameters.push_back({"penstock_decision_id", decision.id()});
  parameters.push_back({"penstock_experts", absl::StrJoin(answerers, ",", name)});
  parameters.push_back({"penstock_weights", absl::StrJoin(answerers, ",", weight)});
  // A figure that nobody knows is left out rather than given as 0.
  if (decision.energy_method() != "unknown" || decision.energy_j() > 0) {
    parameters.push_back({"penstock_energy_j", decision.energy_j()});
  }
  parameters.push_back({"penstock_energy_method", decision.energy_method()});
  parameters.push_back({"penstock_latency_ms", decision.latency_ms()});
  parameters.push_back({"penstock_predicted_latency_ms", decision.predicted_latency_ms()});
  if (!decision.degraded().empty()) {
    parameters.push_back({"penstock_degraded", decision.degraded()});
  }
  if (explain) parameters.push_back({"penstock_decision", Json(decision)});
  return parameters;
}

absl::Status CallerStatus(absl::string_view expert, const absl::Status& status) {
  const auto failed = [&](absl::Status told) {
    // Of an expert whom nobody could ask.
    if (RefusalOf(status) == Refusal::kNoExpert) {
      return Because(Refusal::kNoExpert, std::move(told));
    }
    if (absl::IsInvalidArgument(told)) return Because(Refusal::kInvalid, std::move(told));
    const bool late = absl::IsDeadlineExceeded(told);
    return Because(late ? Refusal::kDeadline : Refusal::kExpertFailed, std::move(told));
  };
  const std::string message = absl::StrCat("expert ", expert, ": ", status.message());
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      return failed(absl::Status(status.code(), message));
    case absl::StatusCode::kCancelled:  // nobody here asked for it
      return failed(absl::UnavailableError(message));
    case absl::StatusCode::kInternal:
      return failed(absl::InternalError(message));
    default:
      return failed(absl::InternalError(absl::StrCat("expert ", expert, ": ",
                                                     absl::StatusCodeToString(status.code()), ": ",
                                                     status.message())));
  }
}

std::string OutputForConfidence(const Pool& pool) {
  if (pool.rooms->cascade == nullptr && pool.rooms->customisation == nullptr) {
    return pool.config.combined_output();
  }
  if (!pool.config.combined_output().empty()) return pool.config.combined_output();
  for (const PoolContract::Tensor& output : pool.rooms->contract.outputs) {
    if (output.datatype == "FP32") return output.name;
  }
  return "";
}

}  // namespace penstock::router
