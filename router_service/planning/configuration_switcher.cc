#include "router_service/planning/configuration_switcher.h"

namespace penstock::router {

ConfigurationSwitcher::ConfigurationSwitcher(const Options& options,
                                             const ConfigurationTable& table, size_t initial,
                                             const Clock& clock)
    : options_(options),
      table_(table),
      clock_(clock),
      current_(initial),
      changed_at_(clock.Now()),
      expected_(table.contexts(), options.expected_dwell),
      seen_(table.contexts(), false) {}

std::optional<ConfigurationChange> ConfigurationSwitcher::Tick(size_t context) {
  const absl::Time now = clock_.Now();
  if (context_ != context) {
    if (context_.has_value()) {
      const absl::Duration lasted = now - context_since_;
      absl::Duration& expected = expected_[*context_];
      expected = seen_[*context_] ? expected + options_.dwell_weight * (lasted - expected) : lasted;
      seen_[*context_] = true;
    }
    context_ = context;
    context_since_ = now;
  }
  const size_t wanted = table_.Lookup(context);
  if (wanted == current_) return std::nullopt;
  if (!table_.Feasible(context, current_)) return ChangeTo(wanted);
  if (now - changed_at_ < options_.least_dwell) return std::nullopt;
  const double saved = (table_.Objective(context, current_) - table_.Objective(context, wanted)) *
                       absl::ToDoubleSeconds(expected_[context]);
  if (saved <= table_.ChangeCost(wanted)) return std::nullopt;
  return ChangeTo(wanted);
}

ConfigurationChange ConfigurationSwitcher::ChangeTo(size_t configuration) {
  const ExpertSet before = ExpertSet::Of(table_.configuration(current_).awake);
  const ExpertSet after = ExpertSet::Of(table_.configuration(configuration).awake);
  current_ = configuration;
  changed_at_ = clock_.Now();
  return {configuration, (after - before).Members(), (before - after).Members()};
}

}  // namespace penstock::router
