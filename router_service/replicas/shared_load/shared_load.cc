#include "router_service/replicas/shared_load/shared_load.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

constexpr absl::string_view kList = "load/routers";

std::string KeyOf(absl::string_view router) { return absl::StrCat("load/router/", router); }

}  // namespace

SharedLoad::SharedLoad(Deps deps, std::string self) : deps_(deps), self_(std::move(self)) {}

void SharedLoad::Start() { Tick(); }

void SharedLoad::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  if (timer_ != 0) deps_.timers.Cancel(timer_);
}

SharedLoad::State SharedLoad::state() const {
  State state;
  const absl::Time now = deps_.clock.Now();
  MutexLock lock(mutex_);
  for (const auto& [name, router] : routers_) {
    if (now - router.changed > kAge) continue;
    ++state.routers;
    for (const auto& [key, in_flight] : router.report->in_flight) state.in_flight += in_flight;
  }
  return state;
}

void SharedLoad::Tick() {
  std::string report;
  std::vector<std::string> routers;
  bool list = false;
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    const absl::Time now = deps_.clock.Now();
    timer_ = deps_.timers.Schedule(now + kEvery, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Tick();
    });
    // A store that answers slowly is asked less often; its deadlines end the round.
    if (under_way_ > 0) return;
    std::optional<InFlightTable> own = deps_.replicas.Own(now);
    if (!own.has_value()) {
      routers_.clear();
      return;
    }
    report = FormatInFlightReport({.round = ++round_, .in_flight = *std::move(own)});
    for (const auto& [name, router] : routers_) routers.push_back(name);
    list = now >= next_list_;
    if (list) next_list_ = now + kListEvery;
    asked_ = now;
    heard_ = false;
    under_way_ = 1 + routers.size() + (list ? 2 : 0);
  }
  Ask(report, routers, list);
}

void SharedLoad::Ask(const std::string& report, const std::vector<std::string>& routers,
                     bool list) {
  const absl::Time deadline = deps_.clock.Now() + kPatience;
  const auto written = [weak = weak_from_this()](const absl::Status&) {
    if (auto self = weak.lock()) self->OnWritten();
  };
  deps_.store.Put(KeyOf(self_), report, kLife, deadline, written);
  for (const std::string& router : routers) {
    deps_.store.Get(KeyOf(router), deadline, [weak = weak_from_this(), router](const Value& value) {
      if (auto self = weak.lock()) self->OnValue(router, value);
    });
  }
  if (!list) return;
  const std::vector<StoreField> self = {{self_, 1}};
  deps_.store.RaiseTotals(kList, 0, self, kListLife, deadline, written);
  deps_.store.ReadTotals(kList, 0, deadline,
                         [weak = weak_from_this()](const absl::StatusOr<StoreFields>& names) {
                           if (auto self = weak.lock()) self->OnList(names);
                         });
}

void SharedLoad::OnWritten() {
  MutexLock lock(mutex_);
  CallEnded(false);
}

void SharedLoad::OnValue(const std::string& router, const Value& value) {
  MutexLock lock(mutex_);
  const auto known = routers_.find(router);
  if (value.ok() && known != routers_.end()) {
    absl::StatusOr<InFlightReport> report =
        ParseInFlightReport(value->has_value() ? absl::string_view(**value) : "");
    Router& of = known->second;
    if (!report.ok()) {
      of = Router();
    } else {
      if (of.report.has_value() && of.report->round != report->round) of.changed = asked_;
      of.report = *std::move(report);
    }
  }
  CallEnded(value.ok());
}

void SharedLoad::OnList(const absl::StatusOr<StoreFields>& list) {
  MutexLock lock(mutex_);
  if (list.ok()) {
    std::map<std::string, Router> next;
    // Whoever speaks is heard, on the list or not: it may just have begun anew.
    for (auto& [name, router] : routers_) {
      if (asked_ - router.changed <= kLife) next.emplace(name, std::move(router));
    }
    for (const auto& [name, unused] : *list) {
      if (next.size() >= kMostRouters) break;
      if (name != self_ && name.size() <= kLongestRouter) next.emplace(name, Router());
    }
    routers_ = std::move(next);
  }
  CallEnded(list.ok());
}

void SharedLoad::CallEnded(bool heard) {
  heard_ = heard_ || heard;
  if (--under_way_ == 0 && heard_ && !stopped_) TellSum();
}

void SharedLoad::TellSum() {
  InFlightTable sum;
  for (const auto& [name, router] : routers_) {
    if (asked_ - router.changed > kAge) continue;
    for (const auto& [key, in_flight] : router.report->in_flight) sum[key] += in_flight;
  }
  deps_.replicas.SetOthers(sum, asked_);
}

}  // namespace penstock::router
