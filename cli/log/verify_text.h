#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "router_service/recording/chain/verify_log.h"

namespace penstock::cli {

// What `penstock log verify` says of one folder: for people, and as one JSON object.
std::string FormatLogReport(absl::string_view folder, const router::LogReport& report);
std::string LogReportJson(absl::string_view folder, const router::LogReport& report);

// The break in one line: "file:line, after record N: what".
std::string FormatLogBreak(const router::LogBreak& broken);

}  // namespace penstock::cli
