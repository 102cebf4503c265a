#include "cli/log/store_heads.h"

#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/notification.h"
#include "common/status_macros.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "router_service/recording/chain/kept_heads.h"

namespace penstock::cli {
namespace {

using Value = absl::StatusOr<std::optional<std::string>>;

constexpr absl::Duration kPatience = absl::Seconds(5);
constexpr absl::Duration kLook = absl::Milliseconds(10);

Value Read(Store& store, const Clock& clock, const std::string& key) {
  const absl::Time deadline = clock.Now() + kPatience;
  while (!store.state().connected && clock.Now() < deadline) absl::SleepFor(kLook);
  Notification there;
  Value value = absl::UnknownError("");
  store.Get(key, clock.Now() + kPatience, [&](Value read) {
    value = std::move(read);
    there.Notify();
  });
  there.Wait();
  if (value.ok() || store.state().last_error.ok()) return value;
  return absl::Status(value.status().code(), store.state().last_error.message());
}

}  // namespace

absl::StatusOr<std::vector<router::LogHead>> ReadStoreHeads(absl::string_view uri,
                                                            absl::string_view log) {
  if (!IsSharedStore(uri)) {
    return absl::InvalidArgumentError(
        "--heads: wanted the address of a server, say redis://HOST: another process's memory:// "
        "cannot be read");
  }
  const RealClock clock;
  auto store = MakeStore(uri, clock, 0);
  if (!store.ok()) {
    return absl::Status(store.status().code(), absl::StrCat("--heads: ", store.status().message()));
  }
  const std::string key = router::KeptHeadsKey(log);
  const Value value = Read(**store, clock, key);
  if (!value.ok()) {
    return absl::Status(value.status().code(), absl::StrCat("--heads: ", value.status().message()));
  }
  if (!value->has_value()) {
    return absl::NotFoundError(absl::StrCat(
        "--heads: the store has no ", key,
        ": wanted the router's `store`, its prefix included, and a log of that router"));
  }
  size_t others = 0;
  std::vector<router::LogHead> heads = router::ParseKeptHeads(log, **value, others);
  if (heads.empty() || others > 0) {
    return absl::DataLossError(
        absl::StrCat("--heads: ", others, " lines of ", key, " are no heads of the log"));
  }
  return heads;
}

}  // namespace penstock::cli
