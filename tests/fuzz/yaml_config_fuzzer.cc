#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "common/config/yaml_config.h"
#include "inference/model_config.pb.h"
#include "penstock/config/v1/model.pb.h"
#include "penstock/config/v1/platform.pb.h"

// The first byte chooses the message: the platform, a model, or one with maps by integers.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  penstock::config::v1::Platform platform;
  penstock::config::v1::Model model;
  inference::ModelConfig other;
  google::protobuf::Message* messages[] = {&platform, &model, &other};
  google::protobuf::Message& message = *messages[data[0] % 3];
  const absl::Status status = penstock::ReadYaml(text, message);
  if (!status.ok() && status.message().empty()) std::abort();
  if (status.ok() && message.SerializeAsString().size() != message.ByteSizeLong()) std::abort();
  return 0;
}
