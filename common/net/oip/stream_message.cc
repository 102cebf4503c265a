#include "common/net/oip/stream_message.h"

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/net/grpc_status.h"
#include "common/tensors/infer_message.h"

namespace penstock {
namespace {

// Length-delimited fields: number and wire type 2.
constexpr char kErrorMessageTag = (1 << 3) | 2;   // ModelStreamInferResponse.error_message
constexpr char kInferResponseTag = (2 << 3) | 2;  // ModelStreamInferResponse.infer_response
constexpr char kResponseIdTag = (3 << 3) | 2;     // ModelInferResponse.id

void AppendHeader(std::string& out, char tag, size_t size) {
  out.push_back(tag);
  for (; size >= 0x80; size >>= 7) out.push_back(static_cast<char>((size & 0x7F) | 0x80));
  out.push_back(static_cast<char>(size));
}

void AppendField(std::string& out, char tag, absl::string_view value) {
  AppendHeader(out, tag, value.size());
  out.append(value.data(), value.size());
}

// A protobuf string must be UTF-8, and an error may quote bytes that are not.
std::string Ascii(absl::string_view text) {
  std::string out(text.data(), text.size());
  for (char& c : out) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return out;
}

}  // namespace

Bytes StreamAnswer(const Bytes& response) {
  std::string header;
  AppendHeader(header, kInferResponseTag, response.size());
  Bytes message(std::move(header));
  message.Append(response);
  return message;
}

Bytes StreamError(const absl::Status& status, const Bytes& request) {
  std::string message;
  AppendField(message, kErrorMessageTag,
              absl::StrCat(StatusCodeName(status.code()), ": ", Ascii(status.message())));
  std::string response;
  const absl::StatusOr<InferRequestHeader> header = ScanInferRequest(request);
  if (header.ok() && !header->id.empty()) AppendField(response, kResponseIdTag, header->id);
  AppendField(message, kInferResponseTag, response);
  return Bytes(std::move(message));
}

}  // namespace penstock
