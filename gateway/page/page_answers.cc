#include "gateway/page/page_answers.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "penstock/v1/routing.pb.h"

namespace penstock::gateway {
namespace {

constexpr char kJson[] = "application/json; charset=utf-8";
// Of one answer: more than a screen shows, and no long work for the server's one thread.
constexpr size_t kMostDecisions = 100;
constexpr size_t kMostDecisionBytes = 1 << 20;

bool ToJson(const google::protobuf::Message& message, std::string& json) {
  google::protobuf::util::JsonPrintOptions format;
  format.preserve_proto_field_names = true;
  format.always_print_primitive_fields = true;
  return google::protobuf::util::MessageToJsonString(message, &json, format).ok();
}

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kFailedPrecondition:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

std::string ErrorBody(absl::string_view code, absl::string_view message) {
  // What came with a request may be no UTF-8.
  return nlohmann::json{{"code", std::string(code)}, {"message", std::string(message)}}.dump(
             -1, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

}  // namespace

HttpResponse PageAnswer(int status, std::string content_type, std::string body) {
  HttpResponse response;
  response.status = status;
  response.content_type = std::move(content_type);
  response.body = std::move(body);
  response.headers = {
      {"Cache-Control", "no-store"},
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
       "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"}};
  return response;
}

HttpResponse JsonAnswer(std::string json) { return PageAnswer(200, kJson, std::move(json)); }

HttpResponse ErrorAnswer(const absl::Status& status) {
  HttpResponse response =
      PageAnswer(HttpStatusOf(status.code()), kJson,
                 ErrorBody(absl::StatusCodeToString(status.code()), status.message()));
  if (response.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (response.status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

HttpResponse RefusalAnswer(int status, absl::string_view wanted) {
  return PageAnswer(status, kJson,
                    ErrorBody(status == 405 ? "UNIMPLEMENTED" : "INVALID_ARGUMENT", wanted));
}

HttpResponse MessageAnswer(const google::protobuf::Message& message) {
  std::string json;
  if (!ToJson(message, json)) {
    return ErrorAnswer(absl::InternalError("the answer has no JSON form"));
  }
  return JsonAnswer(std::move(json));
}

HttpResponse DecisionsAnswer(const DecisionFeed::Batch& batch, const Principal& caller,
                             absl::string_view pool) {
  std::vector<std::string> shown;  // newest first
  uint64_t missed = batch.missed;
  size_t bytes = 0;
  for (size_t i = batch.decisions.size(); i-- > 0;) {
    if (shown.size() >= kMostDecisions || bytes > kMostDecisionBytes) {
      // Whose they are is not looked up: an upper bound for who sees some pools only.
      missed += i + 1;
      break;
    }
    v1::Decision decision;
    if (!decision.ParseFromString(batch.decisions[i].ToString()) ||
        !caller.rights.MayCall(decision.pool()) || (!pool.empty() && decision.pool() != pool)) {
      continue;
    }
    decision.clear_features();
    decision.clear_choice();
    std::string json;
    if (!ToJson(decision, json)) continue;
    bytes += json.size();
    shown.push_back(std::move(json));
  }
  std::reverse(shown.begin(), shown.end());
  return JsonAnswer(absl::StrCat("{\"decisions\":[", absl::StrJoin(shown, ","), "],\"next\":",
                                 batch.next, ",\"missed\":", missed, "}"));
}

}  // namespace penstock::gateway
