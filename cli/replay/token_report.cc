#include "cli/replay/token_report.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/output/table.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

std::string Percent(double share) {
  return std::isnan(share) ? "-" : absl::StrFormat("%.2f %%", 100 * share);
}

// What counted requests an expert got, and what they waited and took on the mean.
struct ExpertPart {
  size_t requests = 0;
  double wait_s = 0;
  double latency_s = 0;
  double joules = 0;
};

std::vector<ExpertPart> Parts(const TokenReport& report) {
  std::vector<ExpertPart> parts(report.outcomes.experts.size());
  for (const router::TokenRun& run : report.result.runs) {
    if (run.arrived_s < report.counted_from_s) continue;
    ExpertPart& part = parts[run.expert];
    ++part.requests;
    part.wait_s += run.started_s - run.arrived_s;
    part.latency_s += run.latency_s();
    part.joules += run.joules;
  }
  return parts;
}

}  // namespace

std::string FormatTokenReport(const TokenReport& report) {
  const router::PromiseReport& promises = report.promises;
  Table table({"", "replay"});
  table.AddRow({"requests", absl::StrCat(promises.requests)});
  table.AddRow({"load, of what the pool can finish", Percent(report.load)});
  table.AddRow({"quality", Percent(promises.quality)});
  table.AddRow({"mean wait, s", absl::StrFormat("%.4g", promises.wait_s_mean)});
  table.AddRow({"answered within the predicted quantile", Percent(promises.coverage)});
  table.AddRow({"the same of the worst expert", Percent(promises.worst_expert_coverage)});
  table.AddRow({"promised", Percent(promises.promised_share)});
  table.AddRow({"promised deadlines met", Percent(promises.promised_hit_share)});
  table.AddRow({"the same near the deadline", Percent(promises.near_deadline_hit_share)});
  table.AddRow({"unpromised", Percent(promises.unpromised_share)});
  table.AddRow({"unpromised deadlines met", Percent(promises.unpromised_hit_share)});
  Table experts({"expert", "share", "mean wait, s", "mean latency, s", "joules"});
  const std::vector<ExpertPart> parts = Parts(report);
  for (size_t e = 0; e < parts.size(); ++e) {
    const ExpertPart& part = parts[e];
    const double n = static_cast<double>(part.requests);
    const auto mean = [&](double sum) {
      return part.requests > 0 ? absl::StrFormat("%.4g", sum / n) : "-";
    };
    experts.AddRow({report.outcomes.experts[e], Percent(n / static_cast<double>(promises.requests)),
                    mean(part.wait_s), mean(part.latency_s), mean(part.joules)});
  }
  return absl::StrFormat(
      "%s\n%s\nPromised: some expert's %g quantile was within the deadline. Counted from %g s on.\n"
      "Digest %016x.\n",
      table.ToString(), experts.ToString(), report.promise, report.counted_from_s,
      report.result.digest);
}

std::string TokenReportJson(const TokenReport& report) {
  const router::PromiseReport& promises = report.promises;
  nlohmann::ordered_json json = {{"requests", promises.requests},
                                 {"promise", report.promise},
                                 {"load", report.load},
                                 {"quality", promises.quality},
                                 {"wait_s_mean", promises.wait_s_mean},
                                 {"coverage", promises.coverage},
                                 {"worst_expert_coverage", promises.worst_expert_coverage},
                                 {"promised_share", promises.promised_share},
                                 {"promised_hit_share", promises.promised_hit_share},
                                 {"near_deadline_hit_share", promises.near_deadline_hit_share},
                                 {"unpromised_share", promises.unpromised_share},
                                 {"unpromised_hit_share", promises.unpromised_hit_share},
                                 {"digest", absl::StrFormat("%016x", report.result.digest)},
                                 {"events", report.result.events}};
  const std::vector<ExpertPart> parts = Parts(report);
  for (size_t e = 0; e < parts.size(); ++e) {
    json["shares"][report.outcomes.experts[e]] =
        static_cast<double>(parts[e].requests) / static_cast<double>(promises.requests);
  }
  return json.dump(2) + "\n";
}

}  // namespace penstock::cli
