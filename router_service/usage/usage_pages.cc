#include "router_service/usage/usage_pages.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/callback_gate.h"
#include "common/status_macros.h"
#include "google/protobuf/util/time_util.h"

namespace penstock::router {
namespace {

using google::protobuf::util::TimeUtil;

// Where a page ended.
struct Position {
  int64_t hour = 0;
  UsageKey key;
};

// The key as text, and of a router that tells its own counts alone who it is: another's page does
// not go on where this one's ended.
std::string TokenOf(const v1::TenantUsage& last, const std::string& owner) {
  v1::TenantUsage position;
  *position.mutable_hour() = last.hour();
  position.set_tenant(last.tenant());
  position.set_pool(last.pool());
  position.set_others(last.others());
  return absl::StrCat(absl::WebSafeBase64Escape(position.SerializeAsString()), ".", owner);
}

absl::StatusOr<Position> ReadToken(absl::string_view token, const std::string& owner) {
  const absl::Status wrong =
      absl::InvalidArgumentError("page_token: wanted the next_page_token of a page");
  const size_t dot = token.find('.');
  if (dot == token.npos) return wrong;
  std::string bytes;
  v1::TenantUsage position;
  if (!absl::WebSafeBase64Unescape(token.substr(0, dot), &bytes) ||
      !position.ParseFromString(bytes)) {
    return wrong;
  }
  if (token.substr(dot + 1) != owner) {
    return absl::FailedPreconditionError(
        "page_token is of another router, or of this one before it began to share a store or was "
        "restarted: ask for the first page again");
  }
  return Position{HourOf(absl::FromUnixSeconds(position.hour().seconds())),
                  {position.tenant(), position.pool(), position.others()}};
}

absl::StatusOr<absl::Time> TimeOf(const char* field, bool given,
                                  const google::protobuf::Timestamp& time) {
  if (!given) return absl::InvalidArgumentError(absl::StrCat(field, ": wanted a time"));
  if (time.seconds() < TimeUtil::kTimestampMinSeconds ||
      time.seconds() > TimeUtil::kTimestampMaxSeconds || time.nanos() < 0 ||
      time.nanos() >= 1'000'000'000) {
    return absl::InvalidArgumentError(absl::StrCat(field,
                                                   ": wanted a time from year 1 to 9999, got ",
                                                   time.seconds(), " s and ", time.nanos(), " ns"));
  }
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

std::string HourText(int64_t hour) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", HourStart(hour), absl::UTCTimeZone());
}

}  // namespace

struct UsagePages::Shared {
  explicit Shared(Deps deps) : deps(std::move(deps)) {}
  const Deps deps;
  CallbackGate gate;
};

// One page under way: an hour after the other.
class UsagePages::Reading : public std::enable_shared_from_this<Reading> {
 public:
  Reading(std::shared_ptr<Shared> shared, const v1::GetUsageRequest& request, absl::Time deadline,
          Done done)
      : shared_(std::move(shared)),
        pass_(shared_->gate),
        pool_(request.pool()),
        tenant_(request.tenant()),
        deadline_(deadline),
        done_(std::move(done)) {}

  absl::Status Prepare(const v1::GetUsageRequest& request) {
    if (!pass_) return absl::UnavailableError("the router ends");
    PENSTOCK_ASSIGN_OR_RETURN(const absl::Time from,
                              TimeOf("from", request.has_from(), request.from()));
    PENSTOCK_ASSIGN_OR_RETURN(const absl::Time to, TimeOf("to", request.has_to(), request.to()));
    if (to <= from) {
      return absl::InvalidArgumentError(absl::StrCat("to: wanted a time after from, ",
                                                     TimeUtil::ToString(request.from()), ", got ",
                                                     TimeUtil::ToString(request.to())));
    }
    const int64_t now = HourOf(shared_->deps.clock.Now());
    hour_ = HourOf(from);
    // Nothing later is known.
    end_ = std::min(HourOf(to - absl::Nanoseconds(1)), now) + 1;
    if (!request.page_token().empty()) {
      PENSTOCK_ASSIGN_OR_RETURN(after_, ReadToken(request.page_token(), TokenOwner()));
      hour_ = std::max(hour_, after_->hour);
    }
    // Nothing older is kept: its sum would be smaller, and look whole.
    if (const int64_t oldest = now - absl::ToInt64Hours(UsageLedger::kKept); hour_ < oldest) {
      return absl::OutOfRangeError(absl::StrCat(
          "from: usage is kept for ", absl::ToInt64Hours(UsageLedger::kKept) / 24,
          " days, wanted ", HourText(oldest), " or later, got ", HourText(hour_)));
    }
    last_ = std::min(end_, hour_ + kMostHours);
    response_.set_shared(shared_->deps.ledger != nullptr);
    return absl::OkStatus();
  }

  void Fail(const absl::Status& status) { done_(status); }

  void Next() {
    if (hour_ >= last_) return End();
    if (shared_->deps.ledger == nullptr) return OnHour({});
    shared_->deps.ledger->Read(
        hour_, deadline_,
        [self = shared_from_this()](absl::StatusOr<UsageLedger::OwnerTotals> totals) {
          if (!totals.ok()) return self->Fail(totals.status());
          self->OnHour(*std::move(totals));
        });
  }

 private:
  std::string TokenOwner() const {
    return shared_->deps.ledger == nullptr ? shared_->deps.owner : "";
  }

  void OnHour(UsageLedger::OwnerTotals of_owners) {
    // This router knows better than the ledger what it counted.
    UsageLedger::Totals& own = of_owners[shared_->deps.owner];
    for (const UsageRow& row : shared_->deps.counts.Read(hour_)) {
      own[row.key].RaiseTo(row.totals);
    }
    UsageLedger::Totals sums;
    for (const auto& [owner, totals] : of_owners) {
      for (const auto& [key, of_key] : totals) {
        if (!pool_.empty() && key.pool != pool_) continue;
        if (!tenant_.empty() && key.tenant != tenant_) continue;
        sums[key] += of_key;
      }
    }
    auto it = sums.begin();
    if (after_.has_value() && after_->hour == hour_) it = sums.upper_bound(after_->key);
    for (; it != sums.end(); ++it) {
      if (response_.usage_size() >= kMostRows || bytes_ >= kMostBytes) {
        response_.set_next_page_token(
            TokenOf(response_.usage(response_.usage_size() - 1), TokenOwner()));
        return done_(std::move(response_));
      }
      AddRow(it->first, it->second);
    }
    ++hour_;
    Next();
  }

  void AddRow(const UsageKey& key, const UsageTotals& totals) {
    v1::TenantUsage& row = *response_.add_usage();
    row.mutable_hour()->set_seconds(absl::ToUnixSeconds(HourStart(hour_)));
    row.set_tenant(key.tenant);
    row.set_pool(key.pool);
    row.set_others(key.others);
    row.set_requests(totals.requests);
    row.set_metered_microjoules(totals.metered_microjoules);
    row.set_modelled_microjoules(totals.modelled_microjoules);
    row.set_accelerator_microseconds(totals.accelerator_microseconds);
    row.set_microdollars(totals.microdollars);
    bytes_ += row.ByteSizeLong();
  }

  void End() {
    if (hour_ < end_) {
      // Goes on before the first row of the next hour: no key comes before this one.
      v1::TenantUsage start;
      start.mutable_hour()->set_seconds(absl::ToUnixSeconds(HourStart(hour_)));
      response_.set_next_page_token(TokenOf(start, TokenOwner()));
    }
    done_(std::move(response_));
  }

  const std::shared_ptr<Shared> shared_;
  const CallbackGate::Pass pass_;
  const std::string pool_;
  const std::string tenant_;
  const absl::Time deadline_;
  Done done_;
  int64_t hour_ = 0;
  int64_t last_ = 0;  // first hour of another page
  int64_t end_ = 0;   // first hour that was not asked for
  std::optional<Position> after_;
  size_t bytes_ = 0;
  v1::GetUsageResponse response_;
};

UsagePages::UsagePages(Deps deps) : shared_(std::make_shared<Shared>(std::move(deps))) {}

UsagePages::~UsagePages() { shared_->gate.Close(); }

void UsagePages::Read(const v1::GetUsageRequest& request, absl::Time deadline, Done done) {
  auto reading = std::make_shared<Reading>(shared_, request, deadline, std::move(done));
  if (const absl::Status status = reading->Prepare(request); !status.ok()) {
    return reading->Fail(status);
  }
  reading->Next();
}

}  // namespace penstock::router
