#include "router_service/settings/budget_settings.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "google/protobuf/util/message_differencer.h"

namespace penstock::router {
namespace {

using google::protobuf::util::MessageDifferencer;

// Versions are microseconds, so that the later of two settings counts, with room below them for who
// gave it.
constexpr int kInstanceBits = 10;
constexpr int64_t kMostMicros = std::numeric_limits<int64_t>::max() >> kInstanceBits;

}  // namespace

BudgetName NameOf(const std::string& pool, const config::v1::Budget& budget) {
  return {pool, budget.tenant(), budget.resource(), budget.per()};
}

BudgetSettings::BudgetSettings(BudgetPacer& pacer, const Clock& clock, uint32_t instance)
    : pacer_(pacer), clock_(clock), instance_(instance) {}

bool BudgetSettings::Holds(const Entry& entry) {
  if (!entry.setting.has_value()) return false;
  const bool was_configured = entry.setting->has_configured();
  if (was_configured != entry.configured.has_value()) return false;
  return !was_configured ||
         MessageDifferencer::Equals(entry.setting->configured(), *entry.configured);
}

config::v1::Budget BudgetSettings::Effective(const BudgetName& name, const Entry& entry) {
  if (Holds(entry)) return entry.setting->budget();
  if (entry.configured.has_value()) return *entry.configured;
  config::v1::Budget none;
  none.set_tenant(std::get<1>(name));
  none.set_resource(static_cast<config::v1::Budget::Resource>(std::get<2>(name)));
  none.set_per(static_cast<config::v1::Budget::Per>(std::get<3>(name)));
  return none;
}

absl::Status BudgetSettings::Replace(const BudgetName& name, Entry next) {
  const auto known = entries_.find(name);
  const config::v1::Budget before =
      Effective(name, known == entries_.end() ? Entry() : known->second);
  const config::v1::Budget after = Effective(name, next);
  // What does not change is left alone, a new budget of 0 included once it was checked.
  if (known == entries_.end() || !MessageDifferencer::Equals(before, after)) {
    PENSTOCK_RETURN_IF_ERROR(pacer_.SetBudget(std::get<0>(name), after));
  }
  if (next.configured.has_value() || next.setting.has_value()) {
    entries_[name] = std::move(next);
  } else if (known != entries_.end()) {
    entries_.erase(known);
  }
  return absl::OkStatus();
}

BudgetSettings::Entry BudgetSettings::Known(const BudgetName& name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? Entry() : it->second;
}

absl::Status BudgetSettings::Configure(const std::string& pool, const config::v1::Budget& budget) {
  const BudgetName name = NameOf(pool, budget);
  MutexLock lock(mutex_);
  Entry next = Known(name);
  next.configured.reset();
  if (budget.amount() != 0) next.configured = budget;
  return Replace(name, std::move(next));
}

absl::Status BudgetSettings::ConfigureAll(const config::v1::Router& config) {
  for (const config::v1::Budget& budget : config.budgets()) {
    PENSTOCK_RETURN_IF_ERROR(Configure("", budget));
  }
  for (const config::v1::Pool& pool : config.pools()) {
    for (const config::v1::Budget& budget : pool.budgets()) {
      if (const absl::Status status = Configure(pool.name(), budget); !status.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat("pool ", pool.name(), ": ", status.message()));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> BudgetSettings::NextVersion(int64_t known) const {
  const int64_t micros = std::max(absl::ToUnixMicros(clock_.Now()), (known >> kInstanceBits) + 1);
  if (micros > kMostMicros) {
    return absl::OutOfRangeError(
        absl::StrCat("budget: wanted a version of at most ", kMostMicros,
                     " microseconds after 1970, got ", micros, ": this router's clock is wrong"));
  }
  return (micros << kInstanceBits) | (instance_ & ((1u << kInstanceBits) - 1));
}

absl::StatusOr<v1::BudgetSetting> BudgetSettings::Set(const std::string& pool,
                                                      const config::v1::Budget& budget) {
  const BudgetName name = NameOf(pool, budget);
  MutexLock lock(mutex_);
  Entry next = Known(name);
  if (Holds(next) && MessageDifferencer::Equals(next.setting->budget(), budget)) {
    return *next.setting;
  }
  const bool first = !next.setting.has_value();
  if (first && settings_ >= kMostSettings) {
    return absl::ResourceExhaustedError(
        absl::StrCat("budget: wanted at most ", kMostSettings,
                     " budgets that were set by call, removed ones included, and there are as "
                     "many: put them into the configuration"));
  }
  v1::BudgetSetting setting;
  setting.set_pool(pool);
  *setting.mutable_budget() = budget;
  if (next.configured.has_value()) *setting.mutable_configured() = *next.configured;
  PENSTOCK_ASSIGN_OR_RETURN(const int64_t version,
                            NextVersion(first ? 0 : next.setting->version()));
  setting.set_version(version);
  next.setting = setting;
  PENSTOCK_RETURN_IF_ERROR(Replace(name, std::move(next)));
  settings_ += first ? 1 : 0;
  return setting;
}

absl::StatusOr<std::optional<int64_t>> BudgetSettings::Adopt(const v1::BudgetSetting& setting) {
  const BudgetName name = NameOf(setting.pool(), setting.budget());
  MutexLock lock(mutex_);
  Entry next = Known(name);
  const int64_t version = next.setting.has_value() ? next.setting->version() : 0;
  if (setting.version() <= version) return std::nullopt;
  // Whoever took it could only set later ones, which nobody else would take.
  if (const absl::Duration ahead =
          absl::FromUnixMicros(setting.version() >> kInstanceBits) - clock_.Now();
      ahead > kFurthestAhead) {
    return absl::OutOfRangeError(absl::StrCat(
        "wanted a version at most ", absl::FormatDuration(kFurthestAhead),
        " ahead of this router's clock, got one ", absl::FormatDuration(ahead), " ahead"));
  }
  if (version == 0 && settings_ >= kMostSettings) {
    return absl::ResourceExhaustedError(
        absl::StrCat("wanted at most ", kMostSettings, " budgets that were set by call"));
  }
  next.setting = setting;
  PENSTOCK_RETURN_IF_ERROR(Replace(name, std::move(next)));
  settings_ += version == 0 ? 1 : 0;
  return version;
}

std::vector<v1::BudgetSetting> BudgetSettings::All() const {
  std::vector<v1::BudgetSetting> all;
  MutexLock lock(mutex_);
  for (const auto& [name, entry] : entries_) {
    if (entry.setting.has_value()) all.push_back(*entry.setting);
  }
  return all;
}

int64_t BudgetSettings::VersionOf(const BudgetName& name) const {
  MutexLock lock(mutex_);
  const auto it = entries_.find(name);
  if (it == entries_.end() || !it->second.setting.has_value()) return 0;
  return it->second.setting->version();
}

std::set<std::pair<std::string, std::string>> BudgetSettings::Owners() const {
  std::set<std::pair<std::string, std::string>> owners;
  MutexLock lock(mutex_);
  for (const auto& [name, entry] : entries_) owners.emplace(std::get<0>(name), std::get<1>(name));
  return owners;
}

bool BudgetSettings::Holds(const BudgetName& name) const {
  MutexLock lock(mutex_);
  const auto it = entries_.find(name);
  return it != entries_.end() && Holds(it->second);
}

}  // namespace penstock::router
