#include "router_service/pacing/window_refusal.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "router_service/pacing/budget_pacer.h"
#include "router_service/refusals/refusal.h"

namespace penstock::router {
namespace {

// A lease comes within some of these, of what others hold too.
constexpr absl::Duration kOnItsWay = absl::Milliseconds(50);
// A rate's window is long, and what is taken of it goes on being given back; so is a store that is
// away.
constexpr absl::Duration kAWhile = absl::Seconds(1);

}  // namespace

absl::Status WindowRefusal(WindowAnswer answer, absl::string_view name,
                           const WindowBudget& budget) {
  const auto refused = [](absl::string_view message, absl::Duration retry_after) {
    return Because(Refusal::kBudget, ExhaustedError(message, retry_after));
  };
  switch (answer) {
    case WindowAnswer::kElsewhere:
      return refused(
          absl::StrCat("budget held by other routers: what is left of ", name, " is theirs"),
          kOnItsWay);
    case WindowAnswer::kNotLeased:
      return refused(
          absl::StrCat("budget not leased yet: this router's part of ", name, " is on its way"),
          kOnItsWay);
    case WindowAnswer::kStoreDown:
      return Because(
          Refusal::kStoreDown,
          ExhaustedError(
              absl::StrCat("store down: no more may be spent of ", name, " until it answers"),
              kAWhile));
    case WindowAnswer::kSpent:
    case WindowAnswer::kCovered:
    case WindowAnswer::kUnsure:
      break;
  }
  const absl::Duration left = budget.window_left();
  return refused(absl::StrCat("budget spent: ", name),
                 budget.is_rate() ? std::min(left, kAWhile) : left);
}

}  // namespace penstock::router
