#include "common/net/library_log.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <string>

#include "absl/strings/match.h"
#include "common/logging/log.h"

namespace penstock {
namespace {

// Who calls decides how long it is.
constexpr size_t kMaxText = 512;
constexpr size_t kMaxLastWords = 4096;

void LogWords(const char* library, bool error, absl::string_view text) {
  const LogLevel level = error ? LogLevel::kWarning : LogLevel::kDebug;
  LogEvent(level, library, "", LogRule::kStranger).WithUpTo(kMaxText, "text", text);
}

// What ends the process is no stranger's line, and is never left out.
void LogLastWords(const char* library, absl::string_view text) {
  LogEvent(LogLevel::kError, library, "", LogRule::kAlways).WithUpTo(kMaxLastWords, "text", text);
}

void LogFromGrpc(gpr_log_func_args* args) {
  const bool error = args->severity == GPR_LOG_SEVERITY_ERROR;
  // At the beginning only: what strangers sent stands further on.
  if (error && absl::StartsWith(args->message, "assertion failed")) {
    return LogLastWords("grpc", args->message);
  }
  LogWords("grpc", error, args->message);
}

void LogFromProtobuf(google::protobuf::LogLevel level, const char* /*file*/, int /*line*/,
                     const std::string& message) {
  if (level == google::protobuf::LOGLEVEL_FATAL) return LogLastWords("protobuf", message);
  LogWords("protobuf", level >= google::protobuf::LOGLEVEL_ERROR, message);
}

}  // namespace

void LogForLibraries() {
  gpr_set_log_function(&LogFromGrpc);
  google::protobuf::SetLogHandler(&LogFromProtobuf);
}

}  // namespace penstock
