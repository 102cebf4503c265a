#include "router_service/settings/shared_settings.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/callback_gate.h"
#include "common/mutex.h"
#include "common/status_macros.h"

namespace penstock::router {
namespace {

constexpr char kIndex[] = "budget_settings";
constexpr char kChannel[] = "budget_settings";
constexpr int64_t kNoWindow = 0;
constexpr absl::Duration kPeriod = absl::Seconds(10);
// What the store has is put again so often, for who finds it missing.
constexpr absl::Duration kHealPeriod = absl::Minutes(1);
constexpr absl::Duration kPatience = absl::Seconds(2);
constexpr size_t kMostInFlight = 64;

// The pacer takes no longer names than fit here.
std::string FieldOf(const BudgetName& name) {
  const auto& [pool, tenant, resource, per] = name;
  return absl::StrCat(resource, "/", per, "/", pool.size(), ":", pool, tenant);
}
std::string FieldOf(const v1::BudgetSetting& setting) {
  return FieldOf(NameOf(setting.pool(), setting.budget()));
}
std::string KeyOf(absl::string_view field, int64_t version) {
  return absl::StrCat("budget_setting/", field, "/", version);
}

}  // namespace

// Each step is a callback of the store's that holds the state for itself, so that it may come late.
class SharedSettings::State : public std::enable_shared_from_this<State> {
 public:
  State(Deps deps, Events events) : deps_(deps), events_(std::move(events)) {}

  absl::StatusOr<std::unique_ptr<StoreSubscription>> Subscribe() {
    return deps_.store.Subscribe(
        kChannel, [self = shared_from_this()] { self->Refresh(); },
        [self = shared_from_this()](absl::string_view) { self->Refresh(); });
  }

  // Reads and writes what differs. Whoever asks while that is under way gets another round.
  void Refresh() {
    const CallbackGate::Pass pass(gate_);
    if (!pass) return;
    Timers::Id timer = 0;
    {
      MutexLock lock(mutex_);
      if (running_) {
        again_ = true;
        return;
      }
      running_ = true;
      timer = std::exchange(timer_, 0);
    }
    if (timer != 0) deps_.timers.Cancel(timer);
    deps_.store.ReadTotals(kIndex, kNoWindow, Deadline(),
                           [self = shared_from_this()](absl::StatusOr<StoreFields> index) {
                             const CallbackGate::Pass pass(self->gate_);
                             if (!pass) return;
                             if (!index.ok()) return self->End(/*whole=*/false);
                             self->OnIndex(*index);
                           });
  }

  void Close() {
    gate_.Close();
    Timers::Id timer = 0;
    {
      MutexLock lock(mutex_);
      timer = timer_;
    }
    if (timer != 0) deps_.timers.Cancel(timer);
  }

  // Somebody waits for it: the state is not closed before `done` has run.
  void ShareFor(const v1::BudgetSetting& setting, absl::Time deadline, Store::DoneStatus done) {
    auto pass = std::make_unique<CallbackGate::Pass>(gate_);
    if (!*pass) return done(absl::UnavailableError("the router ends"));
    if (const int64_t refused = RefusedOf(FieldOf(setting)); refused > setting.version()) {
      return done(absl::FailedPreconditionError(
          absl::StrCat("the store has version ", refused, " of setting ", FieldOf(setting),
                       ", which this router cannot take and this one does not replace: remove that "
                       "field of its totals ",
                       kIndex)));
    }
    Share(setting, deadline,
          [pass = std::move(pass), done = std::move(done)](absl::Status shared) mutable {
            done(std::move(shared));
          });
  }

  bool heard() const {
    MutexLock lock(mutex_);
    return heard_;
  }

 private:
  void Share(const v1::BudgetSetting& setting, absl::Time deadline, Store::DoneStatus done) {
    const std::string field = FieldOf(setting);
    const int64_t version = setting.version();
    // The value comes first: who reads the index finds what it speaks of.
    deps_.store.Put(KeyOf(field, version), setting.SerializeAsString(), absl::InfiniteDuration(),
                    deadline,
                    [self = shared_from_this(), field, version, deadline,
                     done = std::move(done)](absl::Status put) mutable {
                      const CallbackGate::Pass pass(self->gate_);
                      if (!pass) put = absl::CancelledError("the router ends");
                      if (!put.ok()) return done(std::move(put));
                      self->RaiseIndex(field, version, deadline, std::move(done));
                    });
  }

  // Either a version that is to be read, or a setting that is to be written: all of it, or its value
  // alone where the index has it.
  struct Difference {
    std::string field;
    int64_t version = 0;
    std::optional<v1::BudgetSetting> ours;
    bool value_only = false;
  };
  // Of a field, the version that this router cannot take.
  struct Refusal {
    int64_t version = 0;
    bool may_mend = false;  // tried again each round
  };

  int64_t RefusedOf(const std::string& field) const {
    MutexLock lock(mutex_);
    const auto it = refused_.find(field);
    return it == refused_.end() ? 0 : it->second.version;
  }

  absl::Time Deadline() const { return deps_.clock.Now() + kPatience; }

  void RaiseIndex(const std::string& field, int64_t version, absl::Time deadline,
                  Store::DoneStatus done) {
    const StoreField latest{field, version};
    deps_.store.RaiseTotals(kIndex, kNoWindow, {&latest, 1}, absl::InfiniteDuration(), deadline,
                            [self = shared_from_this(), field, version,
                             done = std::move(done)](absl::Status raised) mutable {
                              if (const CallbackGate::Pass pass(self->gate_); pass && raised.ok()) {
                                self->Stored(field, version);
                                // Who misses it reads it ten seconds later.
                                self->deps_.store.Publish(kChannel, field, self->Deadline(),
                                                          [](const absl::Status&) {});
                              }
                              done(std::move(raised));
                            });
  }

  // The store has this version; one that it replaces is of no use any more.
  void Stored(const std::string& field, int64_t version) {
    int64_t replaced = 0;
    {
      MutexLock lock(mutex_);
      int64_t& stored = stored_[field];
      if (stored == version) return;
      replaced = std::min(stored, version);
      stored = std::max(stored, version);
    }
    if (replaced > 0) {
      deps_.store.Erase(KeyOf(field, replaced), Deadline(), [](const absl::Status&) {});
    }
  }

  // Whether it is time to put again what the store should have.
  bool HealNow() {
    const absl::Time now = deps_.clock.Now();
    MutexLock lock(mutex_);
    if (now < heal_at_) return false;
    heal_at_ = now + kHealPeriod;
    return true;
  }

  void OnIndex(const StoreFields& index) {
    std::vector<Difference> differences;
    std::map<std::string, int64_t> known;
    const bool heal = HealNow();
    for (v1::BudgetSetting& setting : deps_.settings.All()) {
      std::string field = FieldOf(setting);
      const int64_t version = known[field] = setting.version();
      const auto theirs = index.find(field);
      const bool lacks = theirs == index.end() || theirs->second < version;
      if (lacks || (heal && theirs->second == version)) {
        differences.push_back({std::move(field), 0, std::move(setting), !lacks});
      }
    }
    for (const auto& [field, version] : index) {
      const auto ours = known.find(field);
      if (ours != known.end() && ours->second >= version) {
        if (ours->second == version) Stored(field, version);
        continue;
      }
      MutexLock lock(mutex_);
      const auto refused = refused_.find(field);
      if (refused == refused_.end() || refused->second.version != version ||
          refused->second.may_mend) {
        differences.push_back({field, version, {}});
      }
    }
    {
      MutexLock lock(mutex_);
      differences_ = std::move(differences);
      next_ = 0;
      working_ = true;
      whole_ = true;
    }
    Pump();
  }

  // Works off the differences, some at a time, on whichever thread a reply comes.
  void Pump() {
    bool whole = false;
    {
      MutexLock lock(mutex_);
      if (pumping_) return;
      pumping_ = true;
    }
    for (;;) {
      Difference difference;
      {
        MutexLock lock(mutex_);
        if (next_ == differences_.size() || in_flight_ == kMostInFlight) {
          pumping_ = false;
          if (!working_ || next_ < differences_.size() || in_flight_ > 0) return;
          working_ = false;
          whole = whole_;
          break;
        }
        difference = std::move(differences_[next_++]);
        ++in_flight_;
      }
      Settle(std::move(difference));
    }
    End(whole);
  }

  void Settle(Difference difference) {
    if (difference.ours.has_value() && difference.value_only) {
      return deps_.store.Put(KeyOf(difference.field, difference.ours->version()),
                             difference.ours->SerializeAsString(), absl::InfiniteDuration(),
                             Deadline(),
                             [self = shared_from_this()](const absl::Status&) { self->Settled(); });
    }
    if (difference.ours.has_value()) {
      return Share(*difference.ours, Deadline(),
                   [self = shared_from_this()](const absl::Status&) { self->Settled(); });
    }
    deps_.store.Get(
        KeyOf(difference.field, difference.version), Deadline(),
        [self = shared_from_this(), field = difference.field,
         version = difference.version](const absl::StatusOr<std::optional<std::string>>& value) {
          if (const CallbackGate::Pass pass(self->gate_); pass && value.ok()) {
            self->OnValue(field, version, *value);
          }
          self->Settled(value.ok());
        });
  }

  void Settled(bool was_read = true) {
    {
      MutexLock lock(mutex_);
      whole_ = whole_ && was_read;
      --in_flight_;
    }
    const CallbackGate::Pass pass(gate_);
    if (pass) Pump();
  }

  void OnValue(const std::string& field, int64_t version, const std::optional<std::string>& value) {
    if (!value.has_value()) return Missing(field, version);
    v1::BudgetSetting setting;
    if (!setting.ParseFromString(*value) || setting.version() != version ||
        FieldOf(setting) != field) {
      return Refuse(field, version, absl::DataLossError("it is no setting of that budget"));
    }
    const auto replaced = deps_.settings.Adopt(setting);
    if (!replaced.ok()) {
      return Refuse(field, version, replaced.status(), absl::IsOutOfRange(replaced.status()));
    }
    {
      MutexLock lock(mutex_);
      refused_.erase(field);
      missing_.erase(field);
    }
    if (!replaced->has_value()) return;
    if (**replaced > 0) Stored(field, **replaced);
    Stored(field, version);
    if (events_.adopted) events_.adopted(setting);
  }

  // Once it may just have been replaced, and the next round finds its successor.
  void Missing(const std::string& field, int64_t version) {
    {
      MutexLock lock(mutex_);
      // There are no more of them than the index has fields.
      if (missing_.size() >= Store::kMostFields) missing_.clear();
      if (std::exchange(missing_[field], version) != version) return;
    }
    Refuse(field, version,
           absl::NotFoundError("its value is not there; a router that has it puts it again within "
                               "a minute"),
           /*may_mend=*/true);
  }

  void Refuse(const std::string& field, int64_t version, const absl::Status& why,
              bool may_mend = false) {
    {
      MutexLock lock(mutex_);
      // Likewise.
      if (refused_.size() >= Store::kMostFields) refused_.clear();
      Refusal& refusal = refused_[field];
      refusal.may_mend = may_mend;
      if (std::exchange(refusal.version, version) == version) return;
    }
    if (events_.refused) {
      events_.refused(absl::Status(why.code(), absl::StrCat("setting ", field, " of version ",
                                                            version, ": ", why.message())));
    }
  }

  // `whole`: it read all that there was to read.
  void End(bool whole) {
    bool again = false;
    {
      MutexLock lock(mutex_);
      heard_ = heard_ || whole;
      running_ = false;
      again = std::exchange(again_, false);
      if (!again) {
        timer_ = deps_.timers.Schedule(deps_.clock.Now() + kPeriod, [weak = weak_from_this()] {
          if (const auto self = weak.lock()) self->Refresh();
        });
      }
    }
    if (again) Refresh();
  }

  const Deps deps_;
  const Events events_;
  CallbackGate gate_;
  mutable Mutex mutex_;
  bool heard_ ABSL_GUARDED_BY(mutex_) = false;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  bool again_ ABSL_GUARDED_BY(mutex_) = false;
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Difference> differences_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  bool pumping_ ABSL_GUARDED_BY(mutex_) = false;
  bool working_ ABSL_GUARDED_BY(mutex_) = false;  // the differences are not worked off yet
  bool whole_ ABSL_GUARDED_BY(mutex_) = false;    // of this round, all was read so far
  absl::Time heal_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::map<std::string, int64_t> stored_ ABSL_GUARDED_BY(mutex_);  // by field, as far as is known
  std::map<std::string, Refusal> refused_ ABSL_GUARDED_BY(mutex_);  // by field
  std::map<std::string, int64_t> missing_ ABSL_GUARDED_BY(mutex_);  // by field: seen without value
};

SharedSettings::SharedSettings(Deps deps, Events events)
    : state_(std::make_shared<State>(deps, std::move(events))) {}

SharedSettings::~SharedSettings() {
  subscription_.reset();
  state_->Close();
}

absl::Status SharedSettings::Start() {
  PENSTOCK_ASSIGN_OR_RETURN(subscription_, state_->Subscribe());
  // The subscription may be long in coming where the store is away.
  state_->Refresh();
  return absl::OkStatus();
}

bool SharedSettings::heard() const { return state_->heard(); }

void SharedSettings::Share(const v1::BudgetSetting& setting, absl::Time deadline,
                           Store::DoneStatus done) {
  state_->ShareFor(setting, deadline, std::move(done));
}

}  // namespace penstock::router
