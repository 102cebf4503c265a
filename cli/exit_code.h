#pragma once

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace penstock::cli {

// Of options and commands that are not as --help says.
inline constexpr int kExitUsage = 2;

inline constexpr char kExitCodePayload[] = "penstock.cli/exit_code";

// `status`, which ends the process with `code` instead of 1. The command's help says when.
inline absl::Status WithExitCode(absl::Status status, int code) {
  status.SetPayload(kExitCodePayload, absl::Cord(absl::StrCat(code)));
  return status;
}

inline int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return 0;
  int code = 1;
  const auto told = status.GetPayload(kExitCodePayload);
  return told.has_value() && absl::SimpleAtoi(std::string(*told), &code) ? code : 1;
}

}  // namespace penstock::cli
