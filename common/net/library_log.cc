#include "common/net/library_log.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace penstock {
namespace {

// Who calls decides how long it is.
constexpr size_t kMaxText = 512;
constexpr int kLines = 10;
constexpr absl::Duration kPeriod = absl::Seconds(10);

void Log(const char* library, bool error, absl::string_view text) {
  if (!error) {
    spdlog::debug("event={} text=\"{}\"", library, absl::CHexEscape(text.substr(0, kMaxText)));
    return;
  }
  // Neither is destroyed: libraries log until the process has ended.
  static const RealClock& clock = *new RealClock();
  static StrangersLog& log = *new StrangersLog(clock, kLines, kPeriod);
  const std::string line = log.Line(text);
  if (!line.empty()) spdlog::warn("event={} text={}", library, line);
}

// What ends the process is no stranger's line, and is never left out.
void LogLastWords(const char* library, absl::string_view text) {
  spdlog::critical("event={} text=\"{}\"", library, absl::CHexEscape(text));
}

void LogFromGrpc(gpr_log_func_args* args) {
  const bool error = args->severity == GPR_LOG_SEVERITY_ERROR;
  // At the beginning only: what strangers sent stands further on.
  if (error && absl::StartsWith(args->message, "assertion failed")) {
    return LogLastWords("grpc", args->message);
  }
  Log("grpc", error, args->message);
}

void LogFromProtobuf(google::protobuf::LogLevel level, const char* /*file*/, int /*line*/,
                     const std::string& message) {
  if (level == google::protobuf::LOGLEVEL_FATAL) return LogLastWords("protobuf", message);
  Log("protobuf", level >= google::protobuf::LOGLEVEL_ERROR, message);
}

}  // namespace

std::string StrangersLog::Line(absl::string_view text) {
  uint64_t left_out = 0;
  {
    MutexLock lock(mutex_);
    const absl::Time now = clock_.Now();
    if (now - began_ >= period_) {
      began_ = now;
      written_ = 0;
    }
    if (written_ == lines_) {
      ++left_out_;
      return "";
    }
    ++written_;
    left_out = std::exchange(left_out_, 0);
  }
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kMaxText)), "\" left_out=", left_out);
}

void LogForLibraries() {
  gpr_set_log_function(&LogFromGrpc);
  google::protobuf::SetLogHandler(&LogFromProtobuf);
}

}  // namespace penstock
