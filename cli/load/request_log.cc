#include "cli/load/request_log.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/net/grpc_status.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

double UnixSeconds(absl::Time time) {
  return static_cast<double>(absl::ToUnixMicros(time)) / 1e6;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RequestLog>> RequestLog::Create(const std::string& path) {
  auto log = std::unique_ptr<RequestLog>(new RequestLog(path));
  MutexLock lock(log->mutex_);
  if (!log->file_) {
    return absl::InvalidArgumentError(absl::StrCat("--requests: cannot write ", path));
  }
  return log;
}

void RequestLog::Add(const FinishedRequest& request) {
  nlohmann::ordered_json line = {{"due", UnixSeconds(request.due)},
                                 {"ended", UnixSeconds(request.ended)},
                                 {"ms", absl::ToDoubleMilliseconds(request.ended - request.due)},
                                 {"target", request.target},
                                 {"code", StatusCodeName(request.status.code())}};
  if (!request.sent) line["code"] = kNotSent;
  if (!request.status.ok()) line["message"] = request.status.message();
  Write(line);
}

void RequestLog::AddRetry(absl::string_view why, absl::Time at) {
  Write({{"at", UnixSeconds(at)}, {"retried", why}});
}

void RequestLog::Write(const nlohmann::ordered_json& line) {
  // What a server said may be no UTF-8.
  const std::string text =
      line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  MutexLock lock(mutex_);
  // Whole lines, at once: somebody may be following the file.
  file_.write(text.data(), static_cast<std::streamsize>(text.size())).flush();
}

absl::Status RequestLog::Close() {
  MutexLock lock(mutex_);
  file_.close();
  if (!file_) return absl::UnknownError(absl::StrCat("--requests: ", path_, " is not complete"));
  return absl::OkStatus();
}

std::shared_ptr<OutgoingCall> NamingTarget::ModelInfer(
    Bytes request, CallOptions options, absl::AnyInvocable<void(InferReply)> done) {
  return target_.ModelInfer(
      std::move(request), std::move(options),
      [done = std::move(done), name = std::string(address())](InferReply reply) mutable {
        reply.trailers.emplace_back(kTrailer, name);
        done(std::move(reply));
      });
}

}  // namespace penstock::cli
