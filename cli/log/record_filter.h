#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "penstock/v1/decision_log.pb.h"
#include "router_service/recording/chain/record_line.h"

namespace penstock::cli {

// Which records of a log are wanted.
struct RecordFilter {
  std::vector<router::RecordKind> kinds;  // empty: all
  std::string pool, tenant, expert;       // empty: any; else decisions, and of a tenant audits too
  absl::Time since = absl::InfinitePast();
  absl::Time until = absl::InfiniteFuture();  // when they were written; exclusive
  uint64_t first = 0, last = UINT64_MAX;      // sequences

  // By what stands around the message.
  bool MayWant(const router::Record& record) const;
  // By the message too, once it is read.
  bool Wants(const v1::LogRecord& record) const;
};

// "2026-11-30T08:00:00Z" (RFC 3339), or how long before `now`: "90m". Errors name `option`.
absl::StatusOr<absl::Time> ParseWhen(absl::string_view option, absl::string_view text,
                                     absl::Time now);
// "5" or "5-9".
absl::Status ParseSequences(absl::string_view text, RecordFilter& filter);
// "decision,audit".
absl::Status ParseKinds(const std::vector<std::string>& names, RecordFilter& filter);

// INVALID_ARGUMENT where the record's message is none of its kind.
absl::StatusOr<v1::LogRecord> ParseMessage(const router::Record& record);

}  // namespace penstock::cli
