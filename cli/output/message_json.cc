#include "cli/output/message_json.h"

#include <google/protobuf/util/json_util.h>

#include <cstdio>
#include <string>

namespace penstock::cli {

absl::Status PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions format;
  format.add_whitespace = true;
  format.preserve_proto_field_names = true;
  format.always_print_primitive_fields = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, format).ok()) {
    return absl::InternalError("the answer has no JSON form");
  }
  std::printf("%s", json.c_str());
  return absl::OkStatus();
}

}  // namespace penstock::cli
