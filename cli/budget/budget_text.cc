#include "cli/budget/budget_text.h"

#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/output/table.h"

namespace penstock::cli {
namespace {

using config::v1::Budget;

template <class Names>
std::string NameIn(const Names& names, int value) {
  for (const auto& [name, number] : names) {
    if (number == value) return name;
  }
  return absl::StrCat(value);
}

absl::Duration LeftOf(const v1::BudgetStatus& status) {
  return absl::Seconds(status.window_left().seconds()) +
         absl::Nanoseconds(status.window_left().nanos());
}

// Names may hold anything; a line and its columns must not break.
std::string Cell(const std::string& text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\t", "\\t"}, {"\n", "\\n"}, {"\r", "\\r"}});
}

std::string Number(double value) { return absl::StrFormat("%.9g", value); }

}  // namespace

const std::map<std::string, int>& ResourceNames() {
  static const auto& names =
      *new std::map<std::string, int>{{"joules", Budget::JOULES},
                                      {"requests", Budget::REQUESTS},
                                      {"accelerator_seconds", Budget::ACCELERATOR_SECONDS},
                                      {"dollars", Budget::DOLLARS}};
  return names;
}

const std::map<std::string, int>& PeriodNames() {
  static const auto& names = *new std::map<std::string, int>{{"request", Budget::REQUEST},
                                                             {"second", Budget::SECOND},
                                                             {"hour", Budget::HOUR},
                                                             {"day", Budget::DAY}};
  return names;
}

std::string DescribeBudget(const std::string& pool, const Budget& budget) {
  std::string text =
      absl::StrCat(Number(budget.amount()), " ", NameIn(ResourceNames(), budget.resource()),
                   " per ", NameIn(PeriodNames(), budget.per()));
  if (!budget.tenant().empty()) absl::StrAppend(&text, " of tenant ", budget.tenant());
  absl::StrAppend(&text, pool.empty() ? " across pools" : absl::StrCat(" in pool ", pool));
  return absl::StrCat(text, budget.hard() ? ", hard" : ", soft");
}

std::string BudgetTable(const v1::GetBudgetResponse& response) {
  if (response.budgets().empty()) return "no budget\n";
  Table table({"pool", "tenant", "resource", "per", "amount", "kind", "spent", "remaining", "price",
               "share", "window left", "set by"});
  for (const v1::BudgetStatus& status : response.budgets()) {
    const Budget& budget = status.budget();
    const absl::Duration left = LeftOf(status);
    table.AddRow(
        {status.pool().empty() ? "(across)" : Cell(status.pool()),
         budget.tenant().empty() ? "(all)" : Cell(budget.tenant()),
         NameIn(ResourceNames(), budget.resource()), NameIn(PeriodNames(), budget.per()),
         absl::StrFormat("%.6g", budget.amount()), budget.hard() ? "hard" : "soft",
         absl::StrFormat("%.6g", status.spent()), absl::StrFormat("%.6g", status.remaining()),
         absl::StrFormat("%.3g", status.price()), absl::StrFormat("%.3g", status.share()),
         left > absl::ZeroDuration() ? absl::FormatDuration(absl::Ceil(left, absl::Seconds(1)))
                                     : "-",
         status.set_by_call() ? "call" : "file"});
  }
  return table.ToString();
}

std::string BudgetChanges::Header() {
  return "time\tpool\ttenant\tresource\tper\tamount\thard\tspent\tremaining\tprice\tshare\tset_by"
         "\twindow_left_s\n";
}

std::string BudgetChanges::Look(const v1::GetBudgetResponse& response, absl::Time now) {
  const std::string time = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", now, absl::UTCTimeZone());
  std::string lines;
  std::set<std::string> there;
  for (const v1::BudgetStatus& status : response.budgets()) {
    const Budget& budget = status.budget();
    const std::string name = absl::StrJoin(
        {Cell(status.pool()), Cell(budget.tenant()), NameIn(ResourceNames(), budget.resource()),
         NameIn(PeriodNames(), budget.per())},
        "\t");
    const std::string figures =
        absl::StrJoin({Number(budget.amount()), std::string(budget.hard() ? "1" : "0"),
                       Number(status.spent()), Number(status.remaining()), Number(status.price()),
                       Number(status.share()), std::string(status.set_by_call() ? "call" : "file")},
                      "\t");
    there.insert(name);
    std::string& shown = shown_[name];
    if (shown == figures && !all_) continue;
    shown = figures;
    absl::StrAppend(&lines, time, "\t", name, "\t", figures, "\t",
                    absl::StrFormat("%.3f", absl::ToDoubleSeconds(LeftOf(status))), "\n");
  }
  for (auto it = shown_.begin(); it != shown_.end();) {
    if (there.count(it->first) > 0) {
      ++it;
      continue;
    }
    absl::StrAppend(&lines, time, "\t", it->first, "\t0\t\t\t\t\t\t\t\n");
    it = shown_.erase(it);
  }
  return lines;
}

}  // namespace penstock::cli
