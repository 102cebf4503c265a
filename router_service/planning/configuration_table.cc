#include "router_service/planning/configuration_table.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace penstock::router {

absl::StatusOr<ConfigurationTable> ConfigurationTable::Create(
    const Options& options, std::vector<ConfigurationContext> contexts,
    std::vector<Configuration> configurations) {
  if (!(options.energy_weight >= 0 && options.energy_weight <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("energy_weight is ", options.energy_weight, ", wanted from 0 to 1"));
  }
  if (!(options.margin >= 0) || !(options.loss_reference > 0) || !(options.watts_reference >= 0)) {
    return absl::InvalidArgumentError("margin, loss_reference or watts_reference is out of range");
  }
  ConfigurationTable table(options, std::move(contexts), std::move(configurations));
  for (const Configuration& configuration : table.configurations_) {
    for (const std::vector<double>* figures : {&configuration.loss, &configuration.watts}) {
      if (figures->size() != table.contexts() ||
          !std::all_of(figures->begin(), figures->end(),
                       [](double v) { return v >= 0 && std::isfinite(v); })) {
        return absl::InvalidArgumentError(absl::StrCat("configuration \"", configuration.name,
                                                       "\": wanted a loss and watts for ",
                                                       table.contexts(), " contexts, not below 0"));
      }
    }
    if (options.watts_reference > 0) continue;
    for (const double watts : configuration.watts) {
      table.options_.watts_reference = std::max(table.options_.watts_reference, watts);
    }
  }
  if (table.options_.watts_reference <= 0) table.options_.watts_reference = 1;
  for (size_t context = 0; context < table.contexts(); ++context) {
    double least = -1;
    for (size_t i = 0; i < table.configurations_.size(); ++i) {
      const double loss = table.configurations_[i].loss[context];
      if (table.Feasible(context, i) && (least < 0 || loss < least)) least = loss;
    }
    if (least < 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("no configuration keeps awake what context \"",
                       table.contexts_[context].name, "\" requires"));
    }
    size_t best = table.configurations_.size();
    for (size_t i = 0; i < table.configurations_.size(); ++i) {
      if (!table.Feasible(context, i)) continue;
      if (table.configurations_[i].loss[context] > least + options.margin) continue;
      if (best == table.configurations_.size() ||
          table.Objective(context, i) < table.Objective(context, best)) {
        best = i;
      }
    }
    table.chosen_.push_back(best);
  }
  return table;
}

bool ConfigurationTable::Feasible(size_t context, size_t configuration) const {
  const std::vector<size_t>& awake = configurations_[configuration].awake;
  return std::all_of(contexts_[context].required.begin(), contexts_[context].required.end(),
                     [&awake](size_t expert) {
                       return std::find(awake.begin(), awake.end(), expert) != awake.end();
                     });
}

double ConfigurationTable::Objective(size_t context, size_t configuration) const {
  const Configuration& of = configurations_[configuration];
  return (1 - options_.energy_weight) * of.loss[context] / options_.loss_reference +
         options_.energy_weight * of.watts[context] / options_.watts_reference;
}

double ConfigurationTable::ChangeCost(size_t configuration) const {
  return options_.energy_weight * configurations_[configuration].wake_j / options_.watts_reference;
}

}  // namespace penstock::router
