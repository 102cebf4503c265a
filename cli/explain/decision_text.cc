#include "cli/explain/decision_text.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/explain/counterfactual_text.h"
#include "cli/output/table.h"

namespace penstock::cli {
namespace {

std::string Number(double value) { return absl::StrFormat("%.4g", value); }

// Of a decision 0 means that nobody set one.
std::string Budget(double amount, const char* unit) {
  return amount > 0 ? absl::StrCat(Number(amount), " ", unit) : "none";
}

}  // namespace

std::string DecisionText(const v1::Decision& decision) {
  std::string text = absl::StrCat(decision.id(), " ", decision.reason(), "\n\n");
  Table table({"expert", "P(right)", "gate", "latency ms", "energy mJ", "weight", "why not"});
  for (const v1::Candidate& candidate : decision.candidates()) {
    std::string weight = "-";
    for (const v1::Run& run : decision.runs()) {
      if (run.expert() == candidate.expert()) weight = Number(run.weight());
    }
    table.AddRow({candidate.expert(), Number(candidate.quality()), Number(candidate.gate()),
                  Number(candidate.latency_ms()), Number(1000 * candidate.energy_j()), weight,
                  candidate.excluded()});
  }
  absl::StrAppend(&text, table.ToString(), "\nobjective ", decision.objective(),
                  ", latency budget ", Budget(decision.latency_budget_ms(), "ms"),
                  ", energy budget ", Budget(decision.energy_budget_j(), "J"), "\n");
  // protobuf iterates a map in no fixed order.
  const std::map<std::string, double> prices(decision.prices().begin(), decision.prices().end());
  for (const auto& [resource, price] : prices) {
    absl::StrAppend(&text, "price of ", resource, ": ", Number(price), " quality units a unit\n");
  }
  const auto version = [&text](const char* what, const std::string& checksum) {
    if (!checksum.empty()) absl::StrAppend(&text, what, " version ", checksum, "\n");
  };
  version("quality", decision.quality_version());
  version("gate", decision.gate_version());
  if (!decision.shadow_expert().empty()) {
    absl::StrAppend(&text, "the shadow would ask ", decision.shadow_expert(), "\n");
  }
  if (decision.has_price_multiplier()) {
    absl::StrAppend(&text, "that is ", Number(decision.price_multiplier()),
                    " times what others pay: tenant ", decision.tenant(),
                    " took more than its part\n");
  }
  if (decision.has_largest_answer_j()) {
    absl::StrAppend(&text, "no answer may take more than ",
                    Number(decision.largest_answer_j()),
                    " J, but for the cheapest expert's: tenant ", decision.tenant(),
                    " was once far beyond its part\n");
  }
  if (decision.counterfactuals().empty()) return text;
  absl::StrAppend(&text, "\nanother choice, all else the same:\n");
  for (const v1::Counterfactual& counterfactual : decision.counterfactuals()) {
    absl::StrAppend(&text, "  ", CounterfactualText(counterfactual), "\n");
  }
  return text;
}

}  // namespace penstock::cli
