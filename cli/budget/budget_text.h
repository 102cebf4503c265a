#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "penstock/v1/routing.pb.h"

namespace penstock::cli {

// Names as the command line takes and shows them: "dollars", "day".
const std::map<std::string, int>& ResourceNames();
const std::map<std::string, int>& PeriodNames();

// "20 dollars per day of tenant acme in pool chat, hard".
std::string DescribeBudget(const std::string& pool, const config::v1::Budget& budget);

// For people.
std::string BudgetTable(const v1::GetBudgetResponse& response);

// For programs: one line of tab-separated columns for each budget that changed since the last look.
class BudgetChanges {
 public:
  // `all`: a line for each budget at each look, changed or not.
  explicit BudgetChanges(bool all) : all_(all) {}
  static std::string Header();
  // A budget that is gone has one last line, with the amount 0 and nothing else.
  std::string Look(const v1::GetBudgetResponse& response, absl::Time now);

 private:
  const bool all_;
  // By name, what was shown; without time and what is left of the window.
  std::map<std::string, std::string> shown_;
};

}  // namespace penstock::cli
