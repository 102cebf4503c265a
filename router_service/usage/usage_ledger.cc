#include "router_service/usage/usage_ledger.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "common/utf8.h"

namespace penstock::router {
namespace {

constexpr char kIndex[] = "usage/index";
// Of one owner: hours have no more pairs than this times kPairsAPart.
constexpr size_t kMostParts = 64;

struct Kind {
  char letter;
  int64_t UsageTotals::*total;
};
constexpr Kind kKinds[] = {{'r', &UsageTotals::requests},
                           {'e', &UsageTotals::metered_microjoules},
                           {'m', &UsageTotals::modelled_microjoules},
                           {'a', &UsageTotals::accelerator_microseconds},
                           {'d', &UsageTotals::microdollars}};
static_assert(UsageLedger::kPairsAPart * std::size(kKinds) <= Store::kMostFields);

std::string PartName(absl::string_view owner, size_t part) {
  return absl::StrCat("usage/", owner, "/", part);
}
std::string MarkKey(absl::string_view owner) { return absl::StrCat("usage/mark/", owner); }

// Several calls of the store; ends when all have, with the first error.
class Together {
 public:
  Together(size_t calls, Store::DoneStatus done) : left_(calls), done_(std::move(done)) {}

  void Ended(const absl::Status& status) {
    absl::Status first;
    {
      MutexLock lock(mutex_);
      if (first_.ok()) first_ = status;
      if (--left_ > 0) return;
      first = first_;
    }
    done_(first);
  }

 private:
  Mutex mutex_;
  size_t left_ ABSL_GUARDED_BY(mutex_);
  absl::Status first_ ABSL_GUARDED_BY(mutex_);
  Store::DoneStatus done_;
};

}  // namespace

// The kind's letter, 't' or 'o' for others, the pool's length and the pool, the tenant.
std::vector<StoreField> UsageFields(const UsageRow& row) {
  std::vector<StoreField> fields;
  const std::string whose = absl::StrCat(row.key.others ? "o" : "t", row.key.pool.size(), ":",
                                         row.key.pool, row.key.tenant);
  for (const Kind& kind : kKinds) {
    const int64_t total = row.totals.*kind.total;
    if (total > 0) fields.push_back({absl::StrCat(std::string(1, kind.letter), whose), total});
  }
  return fields;
}

void AddUsageField(absl::string_view field, int64_t value, UsageLedger::Totals& totals) {
  if (field.size() < 4 || (field[1] != 't' && field[1] != 'o') || value < 0) return;
  const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                 [&](const Kind& each) { return each.letter == field[0]; });
  const size_t colon = field.find(':');
  size_t pool = 0;
  if (kind == std::end(kKinds) || colon == field.npos ||
      !absl::SimpleAtoi(field.substr(2, colon - 2), &pool) || pool > field.size() - colon - 1) {
    return;
  }
  UsageKey key;
  key.others = field[1] == 'o';
  key.pool = std::string(field.substr(colon + 1, pool));
  key.tenant = std::string(field.substr(colon + 1 + pool));
  // Answers that tell of it could not be read.
  if (!IsUtf8(key.pool) || !IsUtf8(key.tenant)) return;
  totals[key].*kind->total = value;
}

void UsageLedger::Tell(const std::string& owner, int64_t hour, const std::vector<UsageRow>& rows,
                       size_t pairs, absl::Time deadline, Store::DoneStatus done) {
  std::map<size_t, std::vector<StoreField>> parts;
  for (const UsageRow& row : rows) {
    std::vector<StoreField>& part = parts[row.ordinal / kPairsAPart];
    for (StoreField& field : UsageFields(row)) part.push_back(std::move(field));
  }
  const size_t count = (pairs + kPairsAPart - 1) / kPairsAPart;
  if (count > kMostParts || (!parts.empty() && parts.rbegin()->first >= kMostParts)) {
    return done(absl::InvalidArgumentError(
        absl::StrCat("usage: wanted at most ", kMostParts * kPairsAPart, " pairs, got ", pairs)));
  }
  // The index comes last: who reads it finds what it speaks of. The ledger may be gone by then, the
  // store that calls is not.
  Store::DoneStatus then_index = [&store = store_, owner, hour, count, deadline,
                                  done = std::move(done)](absl::Status status) mutable {
    if (!status.ok()) return done(std::move(status));
    const StoreField field{owner, static_cast<int64_t>(count)};
    store.RaiseTotals(kIndex, hour, {&field, 1}, kTimeToLive, deadline, std::move(done));
  };
  if (parts.empty()) return then_index(absl::OkStatus());
  auto together = std::make_shared<Together>(parts.size(), std::move(then_index));
  for (const auto& [part, fields] : parts) {
    store_.RaiseTotals(PartName(owner, part), hour, fields, kTimeToLive, deadline,
                       [together](absl::Status status) { together->Ended(status); });
  }
}

void UsageLedger::Read(int64_t hour, absl::Time deadline, Store::Done<OwnerTotals> done) {
  store_.ReadTotals(
      kIndex, hour, deadline,
      [&store = store_, hour, deadline,
       done = std::move(done)](absl::StatusOr<StoreFields> index) mutable {
        if (!index.ok()) return done(index.status());
        struct Gathered {
          Mutex mutex;
          OwnerTotals totals ABSL_GUARDED_BY(mutex);
        };
        const auto gathered = std::make_shared<Gathered>();
        size_t calls = 0;
        const auto parts_of = [](int64_t told) {
          return std::min(static_cast<size_t>(std::max<int64_t>(told, 0)), kMostParts);
        };
        for (const auto& [owner, parts] : *index) calls += parts_of(parts);
        if (calls == 0) return done(OwnerTotals());
        auto together = std::make_shared<Together>(
            calls, [gathered, done = std::move(done)](const absl::Status& status) mutable {
              if (!status.ok()) return done(status);
              OwnerTotals totals;
              {
                MutexLock lock(gathered->mutex);
                totals.swap(gathered->totals);
              }
              done(std::move(totals));
            });
        for (const auto& [owner, parts] : *index) {
          for (size_t part = 0; part < parts_of(parts); ++part) {
            store.ReadTotals(PartName(owner, part), hour, deadline,
                             [gathered, together, owner = owner](absl::StatusOr<StoreFields> got) {
                               if (got.ok()) {
                                 MutexLock lock(gathered->mutex);
                                 Totals& of_owner = gathered->totals[owner];
                                 for (const auto& [field, value] : *got) {
                                   AddUsageField(field, value, of_owner);
                                 }
                               }
                               together->Ended(got.status());
                             });
          }
        }
      });
}

void UsageLedger::Mark(const std::string& owner, absl::Time deadline, Store::DoneStatus done) {
  store_.Put(MarkKey(owner), "told", kTimeToLive, deadline, std::move(done));
}

void UsageLedger::HasMark(const std::string& owner, absl::Time deadline, Store::Done<bool> done) {
  store_.Get(MarkKey(owner), deadline,
             [done = std::move(done)](absl::StatusOr<std::optional<std::string>> value) mutable {
               if (!value.ok()) return done(value.status());
               done(value->has_value());
             });
}

}  // namespace penstock::router
