#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/http/http_message.h"
#include "gateway/identity/principal.h"
#include "gateway/page/decision_feed.h"
#include "google/protobuf/message.h"

namespace penstock::gateway {

// Forbids everything that is not the page's own, being framed, and being kept.
HttpResponse PageAnswer(int status, std::string content_type, std::string body);
HttpResponse JsonAnswer(std::string json);
// {"code": "PERMISSION_DENIED", "message": ...} with the HTTP status that fits.
HttpResponse ErrorAnswer(const absl::Status& status);
// The same for what HTTP itself refuses.
HttpResponse RefusalAnswer(int status, absl::string_view wanted);
// In protobuf's JSON form, names as in the .proto, every field said.
HttpResponse MessageAnswer(const google::protobuf::Message& message);
// {"decisions": [...], "next": ..., "missed": ...}: those that `caller` may see, of `pool` unless
// that is empty, the newest ones where they are many. Without what only machines read.
HttpResponse DecisionsAnswer(const DecisionFeed::Batch& batch, const Principal& caller,
                             absl::string_view pool);

}  // namespace penstock::gateway
