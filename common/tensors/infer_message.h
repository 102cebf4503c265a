#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/tensors/tensor.h"

// OIP messages read and written without parsing their tensors. One scanner serves gateway, router
// and expert service: fields in any order, a repeated scalar's last value wins, maps keep the last
// entry, as in protobuf; what protobuf refuses is refused (checked by fuzzing against the generated
// parser).

namespace penstock {

struct ByteRange {
  size_t offset = 0;
  size_t size = 0;
};

using ParameterValue = std::variant<std::monostate, bool, int64_t, std::string, double, uint64_t>;

struct Parameter {
  std::string name;
  ParameterValue value;
  ByteRange range;  // the whole map entry, tag included, in the message
};

struct TensorHeader {
  std::string name;
  std::string datatype;  // as it came: unknown names are the validator's to refuse
  std::vector<int64_t> shape;
  std::vector<Parameter> parameters;
  bool has_contents = false;  // typed contents of at least one value
  // Payloads of the InferTensorContents message: one, or several that protobuf would merge.
  std::vector<ByteRange> contents;
  ByteRange range;  // the whole field, tag included
};

struct RequestedOutput {
  std::string name;
  std::vector<Parameter> parameters;
};

// ModelInferRequest, tensors unread.
struct InferRequestHeader {
  std::string model_name;
  std::string model_version;
  std::string id;
  std::vector<Parameter> parameters;  // names unique: the last entry of the wire
  // Every entry on the wire named "penstock_...", to be cut out.
  std::vector<ByteRange> parameter_ranges;
  std::vector<TensorHeader> inputs;
  std::vector<RequestedOutput> outputs;
  std::vector<ByteRange> raw_inputs;  // payloads
};

// ModelInferResponse, tensors unread.
struct InferResponseHeader {
  std::string model_name;
  std::string model_version;
  std::string id;
  std::vector<Parameter> parameters;
  // As of a request.
  std::vector<ByteRange> parameter_ranges;
  std::vector<TensorHeader> outputs;
  std::vector<ByteRange> raw_outputs;
};

// Tensors, dimensions, parameters, requested outputs and raw contents of one message, all together;
// more are refused, so that a message of empty fields cannot take many times its own size in
// memory.
inline constexpr size_t kMaxMessageEntries = 1 << 16;

// INVALID_ARGUMENT for bytes that do not parse, with what is wrong and where. Typed contents are
// checked value by value, raw contents are not touched.
absl::StatusOr<InferRequestHeader> ScanInferRequest(const Bytes& message);
absl::StatusOr<InferResponseHeader> ScanInferResponse(const Bytes& message);
// Only model_name of a request: what a forwarder needs. Looks into no tensor or parameter, so it
// accepts what is broken inside those; of what protobuf accepts it names the same model.
absl::StatusOr<std::string> ScanModelName(const Bytes& message);

// The inputs with raw contents, shared where they came raw, converted once where typed. Checks the
// protocol's rules (raw for all or none, right sizes, known datatypes, FP16/BF16 only raw, names
// that differ, no shared memory). Messages name the tensor, what was wanted and what came.
absl::StatusOr<std::vector<Tensor>> DecodeInputs(const Bytes& message,
                                                 const InferRequestHeader& header);
absl::StatusOr<std::vector<Tensor>> DecodeOutputs(const Bytes& message,
                                                  const InferResponseHeader& header);

// A parameter on its way out.
struct OutParameter {
  std::string name;
  ParameterValue value;
};

struct InferRequest {
  std::string model_name;
  std::string model_version;
  std::string id;
  std::vector<OutParameter> parameters;
  std::vector<Tensor> inputs;
  std::vector<RequestedOutput> outputs;
};
struct InferResponse {
  std::string model_name;
  std::string model_version;
  std::string id;
  std::vector<OutParameter> parameters;
  std::vector<Tensor> outputs;
};

// Raw contents; tensor data is shared, not copied.
Bytes EncodeInferRequest(const InferRequest& request);
Bytes EncodeInferResponse(const InferResponse& response);

// `message` without the parameter entries `cut` (sorted, disjoint ranges), with fields appended
// that override by protobuf's last-wins rule. Tensors are shared, not copied.
struct RequestEdit {
  std::vector<ByteRange> cut;
  std::string model_name;          // empty: unchanged
  bool set_model_version = false;  // an empty version overrides too
  std::string model_version;
};
Bytes EditInferRequest(const Bytes& message, const RequestEdit& edit);

// A response under the pool's name and version (empty ones override too), with parameters appended,
// which override those of the same name.
Bytes AppendToInferResponse(const Bytes& message, absl::string_view model_name,
                            absl::string_view model_version,
                            const std::vector<OutParameter>& parameters);

}  // namespace penstock
