#include "cli/replay/decision_report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"

namespace penstock::cli {

std::string FormatDecisionReplay(const router::DecisionReplayReport& report) {
  std::string text = absl::StrFormat(
      "%d decisions, %d reproduced to the last bit (%.2f %%), %d mismatched; %d events\n",
      report.decisions, report.reproduced, 100 * report.share(), report.mismatched, report.events);
  for (const auto& [why, count] : report.not_replayed) {
    absl::StrAppendFormat(&text, "not replayed: %d, %s\n", count, why);
  }
  for (const std::string& why : report.incomplete) {
    absl::StrAppendFormat(&text, "incomplete: %s\n", why);
  }
  if (report.mismatches.count() == 0) return text;
  absl::StrAppendFormat(&text, "%d numbers came out otherwise than logged, first:\n",
                        report.mismatches.count());
  for (const router::Mismatch& mismatch : report.mismatches.first()) {
    absl::StrAppendFormat(&text, "  %s: %s is %s in the log, %s in the replay\n", mismatch.where,
                          mismatch.what, mismatch.logged, mismatch.replayed);
  }
  return text;
}

std::string DecisionReplayJson(const router::DecisionReplayReport& report) {
  nlohmann::json first = nlohmann::json::array();
  for (const router::Mismatch& mismatch : report.mismatches.first()) {
    first.push_back({{"where", mismatch.where},
                     {"what", mismatch.what},
                     {"logged", mismatch.logged},
                     {"replayed", mismatch.replayed}});
  }
  const nlohmann::json json = {{"decisions", report.decisions},
                               {"reproduced", report.reproduced},
                               {"share", report.share()},
                               {"mismatched", report.mismatched},
                               {"not_replayed", report.not_replayed},
                               {"events", report.events},
                               {"reports", report.reports},
                               {"incomplete", report.incomplete},
                               {"mismatches", report.mismatches.count()},
                               {"first_mismatches", first}};
  // Ids and names may hold anything.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace penstock::cli
