#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router_service/planning/expert_set.h"

namespace penstock::router {

// One way to run the platform: who is awake, and how. What else it sets (precision, batch cap,
// power cap) is told by its name; the table needs only what it does to loss and watts.
struct Configuration {
  std::string name;
  std::vector<size_t> awake;  // experts
  std::vector<double> loss;   // [contexts], quality units lost
  std::vector<double> watts;  // [contexts], of the whole system: active, idle, and asleep
  double wake_j = 0;          // joules of changing to it
};

struct ConfigurationContext {
  std::string name;
  std::vector<size_t> required;  // experts that must be awake
};

// Context to configuration, ready to be looked up. After CARMA (context-aware runtime
// reconfiguration; its joint objective of loss and energy), with the objective
//   J = (1 - w) loss / loss_reference + w watts / watts_reference
// least among the configurations whose loss is within `margin` of the context's least.
class ConfigurationTable {
 public:
  struct Options {
    double margin = 0.02;        // quality units
    double energy_weight = 0.5;  // w, in [0, 1]
    double loss_reference = 1;
    double watts_reference = 0;  // 0: the largest of all
  };

  // FAILED_PRECONDITION naming a context that no configuration serves.
  static absl::StatusOr<ConfigurationTable> Create(const Options& options,
                                                   std::vector<ConfigurationContext> contexts,
                                                   std::vector<Configuration> configurations);

  size_t contexts() const { return contexts_.size(); }
  const Configuration& configuration(size_t index) const { return configurations_[index]; }
  size_t Lookup(size_t context) const { return chosen_[context]; }
  // All that the context requires is awake.
  bool Feasible(size_t context, size_t configuration) const;
  // J: objective units for each second in that configuration.
  double Objective(size_t context, size_t configuration) const;
  // What changing to it costs, in J's units times seconds.
  double ChangeCost(size_t configuration) const;

 private:
  ConfigurationTable(const Options& options, std::vector<ConfigurationContext> contexts,
                     std::vector<Configuration> configurations)
      : options_(options),
        contexts_(std::move(contexts)),
        configurations_(std::move(configurations)) {}

  Options options_;
  std::vector<ConfigurationContext> contexts_;
  std::vector<Configuration> configurations_;
  std::vector<size_t> chosen_;
};

}  // namespace penstock::router
