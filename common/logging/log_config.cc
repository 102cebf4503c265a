#include "common/logging/log_config.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "penstock/config/v1/server.pb.h"

namespace penstock {
namespace {

constexpr double kMostLinesPerSecond = 100'000;

absl::StatusOr<LogLevel> ReadLevel(const std::string& field, const std::string& text) {
  if (text.empty() || text == "info") return LogLevel::kInfo;
  if (text == "error") return LogLevel::kError;
  if (text == "warning") return LogLevel::kWarning;
  if (text == "debug") return LogLevel::kDebug;
  return absl::InvalidArgumentError(
      absl::StrCat(field, ".level: wanted error, warning, info or debug, got \"", text, "\""));
}

absl::StatusOr<LogOptions> ReadLog(const std::string& field, const config::v1::Log& log) {
  LogOptions options;
  switch (log.format()) {
    case config::v1::Log::KEY_VALUE:
      options.format = LogFormat::kKeyValue;
      break;
    case config::v1::Log::JSON:
      options.format = LogFormat::kJson;
      break;
    default:  // a number that the schema has no name for
      return absl::InvalidArgumentError(absl::StrCat(
          field, ".format: wanted KEY_VALUE or JSON, got ", static_cast<int>(log.format())));
  }
  PENSTOCK_ASSIGN_OR_RETURN(options.level, ReadLevel(field, log.level()));
  if (!log.has_max_lines_per_second()) return options;
  options.max_lines_per_second = log.max_lines_per_second();
  if (!(options.max_lines_per_second > 0) || options.max_lines_per_second > kMostLinesPerSecond) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".max_lines_per_second: wanted more than 0 and at most ",
                     kMostLinesPerSecond, ", got ", options.max_lines_per_second));
  }
  return options;
}

// Null: the section has none.
const config::v1::Log* LogOf(const google::protobuf::Message& config) {
  const auto* field = config.GetDescriptor()->FindFieldByName("server");
  if (field == nullptr || field->message_type() != config::v1::Server::descriptor()) {
    return nullptr;
  }
  if (!config.GetReflection()->HasField(config, field)) return nullptr;
  const auto& server =
      static_cast<const config::v1::Server&>(config.GetReflection()->GetMessage(config, field));
  return server.has_log() ? &server.log() : nullptr;
}

}  // namespace

absl::StatusOr<LogOptions> ReadLogOptions(const std::vector<LogSection>& sections) {
  std::optional<LogOptions> options;
  std::string said_by;
  for (const LogSection& section : sections) {
    const config::v1::Log* const log = LogOf(*section.config);
    if (log == nullptr) continue;
    const std::string field =
        absl::StrCat(section.name, section.name.empty() ? "" : ".", "server.log");
    PENSTOCK_ASSIGN_OR_RETURN(const LogOptions said, ReadLog(field, *log));
    if (options.has_value() && !(*options == said)) {
      return absl::InvalidArgumentError(absl::StrCat(
          field, ": wanted what ", said_by,
          " says or nothing, got something else: ", "services of one process have one log"));
    }
    if (!options.has_value()) said_by = field;
    options = said;
  }
  return options.value_or(LogOptions());
}

}  // namespace penstock
