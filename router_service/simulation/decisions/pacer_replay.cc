#include "router_service/simulation/decisions/pacer_replay.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

Amounts WithOthers(double energy_j,
                   const google::protobuf::RepeatedPtrField<v1::ResourceAmount>& others) {
  Amounts amounts{energy_j, 0, 0};
  for (const v1::ResourceAmount& other : others) {
    for (const Resource resource : kOtherResources) {
      if (other.resource() == ConfigOf(resource)) amounts[resource] = other.amount();
    }
  }
  return amounts;
}

}  // namespace

int64_t PacerReplay::LoggedLedger::Next() const {
  if (answers.empty()) {
    asked_too_often = true;
    return 0;
  }
  const int64_t answer = answers.front();
  answers.pop_front();
  return answer;
}

WindowAnswer PacerReplay::LoggedLedger::Reserve(const std::string&, const BudgetWindow&, int64_t,
                                                int64_t) {
  return static_cast<WindowAnswer>(Next());
}

int64_t PacerReplay::LoggedLedger::Left(const std::string&, const BudgetWindow&, int64_t) const {
  return Next();
}

WindowLedger::Counts PacerReplay::LoggedLedger::Count(const std::string&,
                                                      const BudgetWindow&) const {
  const int64_t settled = Next();
  return {settled, Next()};
}

void PacerReplay::Apply(const v1::PacerEvent& event) {
  where_ = absl::StrCat("event ", event.sequence());
  if (event.event_case() == v1::PacerEvent::kStart) {
    Start(event.start());
    last_ = event.sequence();
    return;
  }
  if (event.sequence() != last_ + 1) {
    if (last_ == 0) headless_ = true;
    if (event.sequence() > last_ + 1) {
      lost_ += event.sequence() - last_ - 1;
    } else {
      mismatches_.Add(where_, "sequence", absl::StrCat(event.sequence()), absl::StrCat(last_ + 1));
    }
    for (const auto& [number, request] : requests_) {
      if (!request.refused && !request.decided) --undecided_;
    }
    requests_.clear();
    due_.clear();
    pacer_ = nullptr;
  }
  last_ = event.sequence();
  if (event.event_case() == v1::PacerEvent::kEnd) {
    ended_ = event.end().lost();
    return;
  }
  if (pacer_ == nullptr) return;
  clock_.now = absl::FromUnixNanos(event.time_ns());
  ledger_.answers.assign(event.window_answers().begin(), event.window_answers().end());
  ledger_.asked_too_often = false;
  Do(event);
  mismatches_.Same(where_, "window answers asked for", true,
                   !ledger_.asked_too_often && ledger_.answers.empty());
}

void PacerReplay::Do(const v1::PacerEvent& event) {
  switch (event.event_case()) {
    case v1::PacerEvent::kSetBudget:
      return SetBudget(event.set_budget());
    case v1::PacerEvent::kIdlePower:
      return pacer_->SetIdleWatts(event.idle_power().pool(), event.idle_power().watts());
    case v1::PacerEvent::kShare:
      return SetShare(event.share());
    case v1::PacerEvent::kOpen:
      return Open(event);
    case v1::PacerEvent::kView:
      return View(event);
    case v1::PacerEvent::kHold:
      return Hold(event.hold());
    case v1::PacerEvent::kSettle:
      if (Request* request = Find(event.settle().request())) {
        request->reservation.Settle({event.settle().energy_j(),
                                     event.settle().accelerator_seconds(),
                                     event.settle().dollars()});
      }
      return;
    case v1::PacerEvent::kRelease:
      if (Request* request = Find(event.release().request())) request->reservation = Reservation();
      return;
    case v1::PacerEvent::kOptions:
      return NoteOptions(event);
    case v1::PacerEvent::kLevel:
      return AdoptLevel(event.level());
    case v1::PacerEvent::kRead:
      if (event.read().listed()) {
        pacer_->List(event.read().pool(), event.read().tenant());
      } else {
        pacer_->Peek(event.read().pool(), event.read().tenant());
      }
      return;
    case v1::PacerEvent::kStart:
    case v1::PacerEvent::kEnd:
      return;
    case v1::PacerEvent::EVENT_NOT_SET:
      break;
  }
  mismatches_.Add(where_, "event", "of a kind that is not known", "nothing");
}

void PacerReplay::Start(const v1::PacerStart& start) {
  PacingOptions options;
  options.learning = start.learning();
  options.start_price_per_joule = start.start_price_per_joule();
  options.trust_start_price = start.trust_start_price();
  for (const PriceRule rule : {PriceRule::kCredit, PriceRule::kMirrorDescent}) {
    if (PriceRuleName(rule) == start.rule()) options.rule = rule;
  }
  mismatches_.Same(where_, "rule", start.rule(), PriceRuleName(options.rule));
  requests_.clear();
  due_.clear();
  ended_ = std::nullopt;
  pacer_ = std::make_unique<BudgetPacer>(clock_, ledger_, options);
}

void PacerReplay::SetBudget(const v1::BudgetChange& change) {
  const absl::Status set = pacer_->SetBudget(change.pool(), change.budget());
  mismatches_.Same(where_, "set_budget", "", set.message());
}

void PacerReplay::SetShare(const v1::BudgetShare& share) {
  PlatformShare platform;
  platform.share = share.share();
  platform.requests_elsewhere = share.requests_elsewhere();
  platform.spent_elsewhere = share.spent_elsewhere();
  platform.credit_correction = share.credit_correction();
  platform.started = absl::FromUnixMillis(share.started_ms());
  pacer_->SetShare({share.pool(), share.tenant(), share.resource(), share.per()}, platform);
}

void PacerReplay::Open(const v1::PacerEvent& event) {
  const v1::RequestOpen& open = event.open();
  Request& request = requests_[event.sequence()];
  request.pool = open.pool();
  request.tenant = open.tenant();
  absl::StatusOr<Reservation> opened = pacer_->Open(open.pool(), open.tenant());
  request.refused = !opened.ok();
  if (opened.ok()) {
    request.reservation = *std::move(opened);
    ++undecided_;
  }
  Check(mismatches_.Same(where_, "open.refused", open.refused(), request.refused), &request);
}

void PacerReplay::View(const v1::PacerEvent& event) {
  const v1::PriceView& view = event.view();
  Request* const request = Find(view.request());
  if (request == nullptr) return;
  const BudgetTerms terms = request->reservation.terms();
  request->views.emplace_back(event.sequence(), terms);
  Check(mismatches_.Same(where_, "view.price_per_joule", view.price_per_joule(),
                         terms.price_per_joule),
        request);
  Check(mismatches_.Same(where_, "view.price_multiplier", view.price_multiplier(),
                         terms.price_multiplier),
        request);
  Check(mismatches_.Same(where_, "view.headroom_j", view.headroom_j(), terms.headroom_j), request);
  const double largest_j =
      view.has_largest_j() ? view.largest_j() : std::numeric_limits<double>::infinity();
  Check(mismatches_.Same(where_, "view.largest_j", largest_j, terms.largest_j), request);
  for (const v1::ResourceTerms& logged : view.others()) {
    for (const Resource resource : kOtherResources) {
      if (logged.resource() != ConfigOf(resource)) continue;
      const ResourceTerms& other = terms.others[resource];
      Check(mismatches_.Same(where_, absl::StrCat("view.price a ", UnitName(resource)),
                             logged.price(), other.price),
            request);
      Check(mismatches_.Same(where_, absl::StrCat("view.headroom of ", UnitName(resource)),
                             logged.headroom(), other.headroom),
            request);
    }
  }
}

void PacerReplay::Hold(const v1::JouleHold& hold) {
  Request* const request = Find(hold.request());
  if (request == nullptr) return;
  const Amounts amounts = WithOthers(hold.energy_j(), hold.others());
  bool held = true;
  switch (hold.kind()) {
    case v1::JouleHold::IF_COVERED:
      held = request->reservation.TryHold(amounts, hold.largest_j());
      break;
    case v1::JouleHold::METERED:
      request->reservation.Metered(hold.energy_j());
      break;
    default:
      held = request->reservation.Hold(amounts);
      break;
  }
  Check(mismatches_.Same(where_, "hold.refused", hold.refused(), !held), request);
}

void PacerReplay::NoteOptions(const v1::PacerEvent& event) {
  const v1::OptionsNoted& noted = event.options();
  Request* const request = Find(noted.request());
  if (request == nullptr) return;
  if (!mismatches_.Same(where_, "options.energy_j, how many", double(noted.worth_size()),
                        double(noted.energy_j_size()))) {
    return;
  }
  std::vector<PricedOption> options;
  for (int i = 0; i < noted.worth_size(); ++i) {
    options.push_back({noted.worth(i), noted.energy_j(i)});
  }
  for (const v1::ResourceColumn& column : noted.others()) {
    if (!mismatches_.Same(where_, "options.others, how many", double(noted.worth_size()),
                          double(column.amount_size()))) {
      return;
    }
    for (int i = 0; i < column.amount_size(); ++i) {
      PricedOption& option = options[static_cast<size_t>(i)];
      (column.resource() == ConfigOf(Resource::kDollars) ? option.dollars
                                                         : option.accelerator_seconds) =
          column.amount(i);
    }
  }
  std::vector<DueLevel> due = request->reservation.NoteOptions(
      WithOthers(noted.sunk_j(), noted.sunk_others()), options, noted.max_experts(),
      noted.follow_up());
  if (!due.empty()) due_[event.sequence()] = std::move(due);
}

void PacerReplay::AdoptLevel(const v1::LevelAdopted& level) {
  const auto due = due_.find(level.options());
  if (due == due_.end() || level.which() >= due->second.size()) {
    mismatches_.Add(where_, "level.options", absl::StrCat(level.options()),
                    "no level was due there");
    return;
  }
  const double price = due->second[level.which()].Find();
  mismatches_.Same(where_, "level.price_per_joule", level.price_per_joule(), price);
  // Levels of one event are adopted in their order.
  if (level.which() + 1 == due->second.size()) due_.erase(due);
}

PacerReplay::Request* PacerReplay::Find(uint64_t request) {
  const auto found = requests_.find(request);
  if (found != requests_.end()) return &found->second;
  mismatches_.Add(where_, "request", absl::StrCat(request), "none opened as this");
  return nullptr;
}

void PacerReplay::Check(bool same, Request* request) { request->sure = request->sure && same; }

std::optional<PacerReplay::Decided> PacerReplay::Decide(uint64_t number) {
  const auto found = requests_.find(number);
  if (found == requests_.end()) return std::nullopt;
  Request& request = found->second;
  Decided decided{request.refused, request.sure, request.pool, request.tenant,
                  std::move(request.views)};
  request.views = {};
  if (request.refused) {
    requests_.erase(found);
  } else if (!request.decided) {
    request.decided = true;
    --undecided_;
  }
  return decided;
}

}  // namespace penstock::router
