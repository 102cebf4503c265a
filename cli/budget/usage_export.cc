#include "cli/budget/usage_export.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

constexpr int64_t kHoursADay = 24;

std::string TimeText(int64_t hour) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", router::HourStart(hour), absl::UTCTimeZone());
}

// By RFC 4180: quoted where it must be.
std::string CsvCell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

bool ParseAgo(const std::string& text, absl::Duration& ago) {
  int64_t days = 0;
  if (!text.empty() && text.back() == 'd' &&
      absl::SimpleAtoi(text.substr(0, text.size() - 1), &days)) {
    // A product of durations does not overflow.
    ago = days * absl::Hours(kHoursADay);
  } else if (!absl::ParseDuration(text, &ago)) {
    return false;
  }
  return ago >= absl::ZeroDuration();
}

}  // namespace

absl::StatusOr<absl::Time> ParseTimeOption(absl::string_view option, const std::string& text,
                                           absl::Time now) {
  if (text == "now") return now;
  absl::Duration ago;
  absl::Time time = absl::InfinitePast();
  std::string why;
  if (ParseAgo(text, ago)) {
    time = now - ago;
  } else if (!absl::ParseTime("%Y-%m-%d", text, &time, &why)) {
    absl::ParseTime(absl::RFC3339_full, text, &time, &why);
  }
  // Of what has no end there is none either.
  if (time > absl::InfinitePast() && time < absl::InfiniteFuture()) return time;
  return absl::InvalidArgumentError(
      absl::StrCat(option,
                   ": wanted a day (2026-11-30), a time (2026-11-30T12:00:00Z), now, or how "
                   "long ago (24h, 7d), got ",
                   text));
}

std::string Millionths(int64_t micros) {
  return absl::StrFormat("%d.%06d", micros / 1'000'000, micros % 1'000'000);
}

UsageExport::UsageExport(absl::Time from, absl::Time to, Per per)
    : from_(router::HourOf(from)), to_(router::HourOf(to - absl::Nanoseconds(1)) + 1), per_(per) {}

UsageExport::Row UsageExport::RowOf(const v1::TenantUsage& usage) const {
  router::UsageKey key{usage.tenant(), usage.pool(), usage.others()};
  const int64_t hour = router::HourOf(absl::FromUnixSeconds(usage.hour().seconds()));
  switch (per_) {
    case Per::kHour:
      return {hour, hour + 1, std::move(key)};
    case Per::kDay: {
      const int64_t day = hour - ((hour % kHoursADay) + kHoursADay) % kHoursADay;
      return {day, day + kHoursADay, std::move(key)};
    }
    case Per::kTotal:
      break;
  }
  return {from_, to_, std::move(key)};
}

void UsageExport::Add(const v1::GetUsageResponse& page) {
  shared_ = shared_ && page.shared();
  for (const v1::TenantUsage& usage : page.usage()) {
    router::UsageTotals totals;
    totals.requests = usage.requests();
    totals.metered_microjoules = usage.metered_microjoules();
    totals.modelled_microjoules = usage.modelled_microjoules();
    totals.accelerator_microseconds = usage.accelerator_microseconds();
    totals.microdollars = usage.microdollars();
    rows_[RowOf(usage)] += totals;
  }
}

std::string UsageExport::Csv() const {
  std::string csv =
      "start,end,tenant,pool,others,requests,metered_joules,modelled_joules,accelerator_seconds,"
      "dollars\n";
  for (const auto& [row, totals] : rows_) {
    const auto& [start, end, key] = row;
    absl::StrAppend(
        &csv, TimeText(start), ",", TimeText(end), ",", CsvCell(key.tenant), ",", CsvCell(key.pool),
        ",", key.others ? 1 : 0, ",", totals.requests, ",", Millionths(totals.metered_microjoules),
        ",", Millionths(totals.modelled_microjoules), ",",
        Millionths(totals.accelerator_microseconds), ",", Millionths(totals.microdollars), "\n");
  }
  return csv;
}

std::string UsageExport::Json() const {
  nlohmann::ordered_json json;
  json["from"] = TimeText(from_);
  json["to"] = TimeText(to_);
  json["shared"] = shared_;
  json["usage"] = nlohmann::ordered_json::array();
  for (const auto& [row, totals] : rows_) {
    const auto& [start, end, key] = row;
    json["usage"].push_back({{"start", TimeText(start)},
                             {"end", TimeText(end)},
                             {"tenant", key.tenant},
                             {"pool", key.pool},
                             {"others", key.others},
                             {"requests", totals.requests},
                             {"metered_microjoules", totals.metered_microjoules},
                             {"modelled_microjoules", totals.modelled_microjoules},
                             {"accelerator_microseconds", totals.accelerator_microseconds},
                             {"microdollars", totals.microdollars}});
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace penstock::cli
