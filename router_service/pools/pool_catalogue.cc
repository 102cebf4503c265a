#include "router_service/pools/pool_catalogue.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "google/protobuf/util/message_differencer.h"
#include "router_service/gating/sparse/validate_gate.h"
#include "router_service/pools/pool_files.h"
#include "router_service/pools/pool_succession.h"

namespace penstock::router {
namespace {

// How long pools wait for each other before those that are ready serve alone.
constexpr absl::Duration kPatience = absl::Seconds(10);
// How often staged pools are looked at.
constexpr absl::Duration kStageCheck = absl::Milliseconds(10);

absl::Status CheckCount(const std::string& path, bool said, uint32_t got, int experts) {
  if (!said || (got >= 1 && got <= static_cast<uint32_t>(experts))) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": wanted 1 to ", experts, ", got ", got));
}

// How many experts a request may have, against how many there are. A contract that only the experts know
// does not put it off.
absl::Status CheckCounts(const std::string& path, const config::v1::Pool& pool) {
  const int experts = pool.experts_size();
  const config::v1::Selection& selection = pool.selection();
  const config::v1::TopkSoftmax& topk = pool.gate().topk_softmax();
  const config::v1::RandomGate& random = pool.gate().random();
  PENSTOCK_RETURN_IF_ERROR(CheckCount(path + ".selection.max_experts", selection.has_max_experts(),
                                      selection.max_experts(), experts));
  PENSTOCK_RETURN_IF_ERROR(
      CheckCount(path + ".gate.topk_softmax.k", topk.has_k(), topk.k(), experts));
  PENSTOCK_RETURN_IF_ERROR(
      CheckCount(path + ".gate.random.k", random.has_k(), random.k(), experts));
  std::vector<std::string> names;
  for (const config::v1::PoolExpert& expert : pool.experts()) names.push_back(expert.name());
  return ValidateGate(path + ".gate", pool.gate(), names);
}

// More names than are looked up would stay without addresses.
absl::Status CheckNames(const config::v1::Router& config) {
  std::set<std::string> names;
  for (const config::v1::Pool& pool : config.pools()) {
    for (const config::v1::PoolExpert& expert : pool.experts()) {
      for (const config::v1::Endpoint& replica : expert.replicas()) {
        if (!EndpointNames::IsName(replica.address())) continue;
        names.insert(replica.address());
        if (names.size() > EndpointNames::kMostNames) {
          return absl::InvalidArgumentError(
              absl::StrCat("pool ", pool.name(), ": expert ", expert.name(), ": replicas: ",
                           replica.address(), " is one name more than the ",
                           EndpointNames::kMostNames, " that all pools together may have"));
        }
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPools(const config::v1::Router& config, bool has_in_process_expert) {
  if (config.pools().empty()) {
    return absl::InvalidArgumentError("pools: wanted at least one, got none");
  }
  PENSTOCK_RETURN_IF_ERROR(CheckNames(config));
  std::set<std::string> names;
  for (const config::v1::Pool& pool : config.pools()) {
    if (!names.insert(pool.name()).second) {
      return absl::InvalidArgumentError(absl::StrCat("pools: ", pool.name(), " is there twice"));
    }
    PENSTOCK_RETURN_IF_ERROR(ValidatePool(pool, has_in_process_expert));
    PENSTOCK_RETURN_IF_ERROR(CheckCounts(absl::StrCat("pools[", names.size() - 1, "]"), pool));
  }
  return absl::OkStatus();
}

// Whether every expert that answers in `before`, and goes on in `next`, answers there too.
bool AnswersAsBefore(const Pool& before, const Pool& next) {
  if (before.ready() && !next.ready()) return false;
  for (const PoolExpert& was : before.experts) {
    if (!was.admitted || !was.healthy()) continue;
    const std::optional<size_t> is = next.FindExpert(was.name);
    if (!is.has_value()) continue;
    const PoolExpert& now = next.experts[*is];
    if (!now.admitted || !now.healthy()) return false;
  }
  return true;
}

}  // namespace

StagedPools::~StagedPools() {
  for (const std::shared_ptr<PoolEntry>& entry : begun_) entry->Stop();
}

std::vector<std::shared_ptr<const Pool>> StagedPools::Begun() const {
  std::vector<std::shared_ptr<const Pool>> pools;
  for (const std::shared_ptr<PoolEntry>& entry : begun_) pools.push_back(entry->pool());
  return pools;
}

absl::StatusOr<std::shared_ptr<PoolCatalogue>> PoolCatalogue::Create(
    const config::v1::Router& config, bool has_in_process_expert, Timers& timers,
    const Clock& clock, ReplicaConnector& connector, EndpointNames* names) {
  PENSTOCK_RETURN_IF_ERROR(CheckPools(config, has_in_process_expert));
  std::shared_ptr<PoolCatalogue> catalogue(
      new PoolCatalogue(config.learning() == config::v1::Router::ON, has_in_process_expert, timers,
                        clock, connector, names));
  Entries entries;
  for (const config::v1::Pool& pool : config.pools()) {
    PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<PoolEntry> entry,
                              PoolEntry::Create(pool, catalogue->DepsOfEntries()));
    entries.push_back(std::move(entry));
  }
  catalogue->SetEntries(std::move(entries));
  return catalogue;
}

PoolEntry::Deps PoolCatalogue::DepsOfEntries() {
  return {learning_, timers_, clock_, connector_, names_,
          [weak = weak_from_this()](const std::string& pool) {
            if (auto self = weak.lock()) self->ReportIdleWatts(pool);
          }};
}

void PoolCatalogue::SetEntries(Entries entries) {
  std::map<std::string, std::shared_ptr<PoolEntry>, std::less<>> index;
  for (const std::shared_ptr<PoolEntry>& entry : entries) {
    index.emplace(entry->configured().name(), entry);
  }
  // What they held is freed outside the lock.
  MutexLock lock(mutex_);
  entries_.swap(entries);
  index_.swap(index);
}

void PoolCatalogue::SetIdleWattsHandler(OnIdleWatts handler) {
  MutexLock lock(watts_mutex_);
  on_idle_watts_ = std::move(handler);
}

void PoolCatalogue::Start() {
  {
    MutexLock lock(mutex_);
    started_ = clock_.Now();
  }
  for (const std::shared_ptr<PoolEntry>& entry : AllEntries()) entry->Start();
}

void PoolCatalogue::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  for (const std::shared_ptr<PoolEntry>& entry : AllEntries()) entry->Stop();
}

absl::StatusOr<std::unique_ptr<StagedPools>> PoolCatalogue::Stage(
    const config::v1::Router& config, absl::Duration patience, const Notification& give_up) {
  PENSTOCK_RETURN_IF_ERROR(CheckPools(config, has_in_process_expert_));
  std::unique_ptr<StagedPools> staged(new StagedPools());
  std::set<std::string> names;
  std::vector<std::pair<std::shared_ptr<PoolEntry>, std::shared_ptr<PoolEntry>>> successions;
  for (const config::v1::Pool& pool : config.pools()) {
    names.insert(pool.name());
    const std::shared_ptr<PoolEntry> before = FindEntry(pool.name());
    if (before != nullptr &&
        google::protobuf::util::MessageDifferencer::Equals(before->configured(), pool) &&
        before->files_digest() == DigestOfFiles(pool)) {
      staged->entries_.push_back(before);
      continue;
    }
    PENSTOCK_ASSIGN_OR_RETURN(std::shared_ptr<PoolEntry> entry,
                              before == nullptr
                                  ? PoolEntry::Create(pool, DepsOfEntries())
                                  : PoolEntry::Succeed(*before, pool, DepsOfEntries()));
    // What no expert has told the contract of yet is checked as far as it can be.
    if (entry->pool()->rooms == nullptr) PENSTOCK_RETURN_IF_ERROR(CheckPoolFiles(pool));
    staged->changes_.emplace_back(pool.name(), before == nullptr ? "added" : "changed");
    staged->entries_.push_back(entry);
    staged->begun_.push_back(entry);
    if (before != nullptr) successions.emplace_back(before, entry);
  }
  for (const std::shared_ptr<PoolEntry>& entry : AllEntries()) {
    const std::string& name = entry->configured().name();
    if (names.count(name) == 0) staged->changes_.emplace_back(name, "removed");
  }
  for (const std::shared_ptr<PoolEntry>& entry : staged->begun_) entry->Start();
  int64_t checks = patience / kStageCheck;
  for (const auto& [before, entry] : successions) {
    while (!AnswersAsBefore(*before->pool(), *entry->pool()) && checks > 0 &&
           !give_up.WaitWithTimeout(kStageCheck)) {
      --checks;
      entry->RefreshNames();
    }
    if (give_up.HasBeenNotified()) return absl::CancelledError("the router stops");
    if (before->pool()->ready() && !entry->pool()->ready()) {
      return absl::UnavailableError(absl::StrCat("pool ", entry->configured().name(),
                                                 " answers, and would not any more: ",
                                                 entry->pool()->NotReadyBecause()));
    }
  }
  return staged;
}

void PoolCatalogue::Commit(std::unique_ptr<StagedPools> staged) {
  const Entries before = AllEntries();
  for (const std::shared_ptr<PoolEntry>& entry : staged->begun_) {
    const std::shared_ptr<PoolEntry> was = FindEntry(entry->configured().name());
    if (was != nullptr) ContinueCounts(*was->pool(), *entry->pool());
  }
  staged->begun_.clear();
  SetEntries(staged->entries_);
  bool stopped = false;
  {
    MutexLock lock(mutex_);
    stopped = stopped_;
  }
  const Entries after = AllEntries();
  const std::set<std::shared_ptr<PoolEntry>> stay(after.begin(), after.end());
  for (const std::shared_ptr<PoolEntry>& entry : before) {
    if (stay.count(entry) == 0) entry->Stop();
  }
  if (stopped) {
    for (const std::shared_ptr<PoolEntry>& entry : after) entry->Stop();
  }
  for (const auto& [name, unused] : staged->changes_) ReportIdleWatts(name);
  RefreshNames();
}

void PoolCatalogue::RefreshNames() {
  if (names_ == nullptr) return;
  for (const std::shared_ptr<PoolEntry>& entry : AllEntries()) entry->RefreshNames();
}

void PoolCatalogue::ReportIdleWatts(const std::string& pool) {
  MutexLock reporting(watts_mutex_);
  if (!on_idle_watts_) return;
  // By connection: experts that share one share its device.
  std::map<const ReplicaConnection*, double> of_pool, of_all;
  for (const std::shared_ptr<const Pool>& each : All()) {
    for (const PoolExpert& expert : each->experts) {
      if (!expert.admitted || expert.told_by == nullptr) continue;
      of_all[expert.told_by.get()] = expert.facts->idle_watts;
    }
  }
  if (const std::shared_ptr<const Pool> found = Find(pool); found != nullptr) {
    for (const PoolExpert& expert : found->experts) {
      for (const auto& connection : expert.connections) {
        const auto known = of_all.find(connection.get());
        if (known != of_all.end()) of_pool.insert(*known);
      }
    }
  }
  const auto sum = [](const std::map<const ReplicaConnection*, double>& watts) {
    double total = 0;
    for (const auto& [connection, each] : watts) total += each;
    return total;
  };
  on_idle_watts_(pool, sum(of_pool));
  on_idle_watts_("", sum(of_all));
}

absl::StatusOr<PoolCatalogue::Promotion> PoolCatalogue::Promote(absl::string_view name,
                                                                absl::string_view version,
                                                                PromotedBy by) {
  const std::shared_ptr<PoolEntry> entry = FindEntry(name);
  if (entry == nullptr) return absl::NotFoundError(absl::StrCat("no pool ", name));
  return entry->Promote(version, by);
}

std::shared_ptr<PoolEntry> PoolCatalogue::FindEntry(absl::string_view name) const {
  MutexLock lock(mutex_);
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : found->second;
}

PoolCatalogue::Entries PoolCatalogue::AllEntries() const {
  MutexLock lock(mutex_);
  return entries_;
}

std::string PoolCatalogue::FilesDigest() const {
  std::string digests;
  for (const std::shared_ptr<PoolEntry>& entry : AllEntries()) {
    absl::StrAppend(&digests, entry->configured().name(), "=", entry->files_digest(), "\n");
  }
  return digests;
}

std::shared_ptr<const Pool> PoolCatalogue::Find(absl::string_view name) const {
  const std::shared_ptr<PoolEntry> entry = FindEntry(name);
  return entry == nullptr ? nullptr : entry->pool();
}

std::vector<std::shared_ptr<const Pool>> PoolCatalogue::All() const {
  std::vector<std::shared_ptr<const Pool>> pools;
  for (const std::shared_ptr<PoolEntry>& entry : AllEntries()) pools.push_back(entry->pool());
  return pools;
}

bool PoolCatalogue::ready() const {
  const auto pools = All();
  const auto is_ready = [](const std::shared_ptr<const Pool>& pool) { return pool->ready(); };
  if (std::all_of(pools.begin(), pools.end(), is_ready)) return true;
  if (std::none_of(pools.begin(), pools.end(), is_ready)) return false;
  MutexLock lock(mutex_);
  return clock_.Now() - started_ >= kPatience;
}

}  // namespace penstock::router
