#include "expert_service/oip/model_descriptions.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/tensors/datatype.h"
#include "inference/grpc_service.pb.h"

namespace penstock::expert {
namespace {

constexpr char kPlatform[] = "penstock";

inference::DataType ToTriton(DataType type) {
  switch (type) {
    case DataType::kBool:
      return inference::TYPE_BOOL;
    case DataType::kUint8:
      return inference::TYPE_UINT8;
    case DataType::kUint16:
      return inference::TYPE_UINT16;
    case DataType::kUint32:
      return inference::TYPE_UINT32;
    case DataType::kUint64:
      return inference::TYPE_UINT64;
    case DataType::kInt8:
      return inference::TYPE_INT8;
    case DataType::kInt16:
      return inference::TYPE_INT16;
    case DataType::kInt32:
      return inference::TYPE_INT32;
    case DataType::kInt64:
      return inference::TYPE_INT64;
    case DataType::kFp16:
      return inference::TYPE_FP16;
    case DataType::kBf16:
      return inference::TYPE_BF16;
    case DataType::kFp32:
      return inference::TYPE_FP32;
    case DataType::kFp64:
      return inference::TYPE_FP64;
    case DataType::kBytes:
      return inference::TYPE_STRING;
  }
  return inference::TYPE_INVALID;
}

template <typename Metadata>
void FillTensor(const Contract& contract, const TensorContract& tensor, Metadata& metadata) {
  const absl::string_view datatype = DataTypeName(tensor.datatype);
  metadata.set_name(tensor.name);
  metadata.set_datatype(std::string(datatype));
  for (const int64_t dimension : contract.WireShape(tensor)) metadata.add_shape(dimension);
}

template <typename Config>
void FillConfig(const TensorContract& tensor, Config& config) {
  config.set_name(tensor.name);
  config.set_data_type(ToTriton(tensor.datatype));
  for (const int64_t dimension : tensor.shape) config.add_dims(dimension);
}

}  // namespace

void DescribeMetadata(const Model& model, const std::vector<int64_t>& versions,
                      inference::ModelMetadataResponse& metadata) {
  const Contract& contract = model.contract();
  metadata.set_name(model.name());
  for (const int64_t version : versions) metadata.add_versions(absl::StrCat(version));
  metadata.set_platform(kPlatform);
  for (const TensorContract& input : contract.inputs) {
    FillTensor(contract, input, *metadata.add_inputs());
  }
  for (const TensorContract& output : contract.outputs) {
    FillTensor(contract, output, *metadata.add_outputs());
  }
}

void DescribeConfig(const Model& model, int workers, inference::ModelConfig& config) {
  const Contract& contract = model.contract();
  config.set_name(model.name());
  config.set_platform(kPlatform);
  config.set_backend(kPlatform);
  config.set_default_model_filename("model.safetensors");
  config.mutable_version_policy()->mutable_all();
  config.set_max_batch_size(static_cast<int32_t>(contract.max_rows));
  for (const TensorContract& input : contract.inputs) FillConfig(input, *config.add_input());
  for (const TensorContract& output : contract.outputs) FillConfig(output, *config.add_output());
  inference::ModelInstanceGroup& instances = *config.add_instance_group();
  instances.set_name(model.name());
  instances.set_count(workers);
  instances.set_kind(inference::ModelInstanceGroup::KIND_CPU);
  if (!contract.has_rows()) return;
  inference::ModelDynamicBatching& batching = *config.mutable_dynamic_batching();
  batching.set_max_queue_delay_microseconds(
      static_cast<uint64_t>(absl::ToInt64Microseconds(contract.max_delay)));
  inference::ModelQueuePolicy& policy = *batching.mutable_default_queue_policy();
  policy.set_allow_timeout_override(true);
  policy.set_max_queue_size(static_cast<uint32_t>(contract.max_queue));
}

}  // namespace penstock::expert
