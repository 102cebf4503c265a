#include "cli/explain/counterfactual_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace penstock::cli {
namespace {

std::string Number(double value) { return absl::StrFormat("%.4g", value); }

std::string Condition(const v1::Counterfactual& from) {
  const std::string bound = Number(from.bound());
  const std::string change = Number(from.change());
  // A bound of joules or time is passed downwards, and one of quality upwards.
  const bool more = from.exclusive() ? from.limit() == v1::Counterfactual::MIN_QUALITY
                                     : from.has_change() && from.change() > 0;
  switch (from.limit()) {
    case v1::Counterfactual::ENERGY_BUDGET:
      return more ? absl::StrCat("with ", change, " J more for the request")
                  : absl::StrCat("with less than ", bound, " J for the request");
    case v1::Counterfactual::HEADROOM:
      return more ? absl::StrCat("with ", change, " J more left of the budgets")
                  : absl::StrCat("with less than ", bound, " J left of the budgets");
    case v1::Counterfactual::TIME_LEFT:
      return more ? absl::StrCat("with ", change, " ms more")
                  : absl::StrCat("with less than ", bound, " ms left");
    case v1::Counterfactual::PRICE_PER_JOULE:
      return more ? absl::StrCat("at a price of ", bound, " or more a J")
                  : absl::StrCat("at a price of ", bound, " or less a J");
    case v1::Counterfactual::MIN_QUALITY:
      return more ? absl::StrCat("with a least quality above ", bound)
                  : absl::StrCat("with a least quality of ", bound, " or less");
    default:
      return "with another limit";
  }
}

}  // namespace

std::string CounterfactualText(const v1::Counterfactual& from) {
  if (from.experts().empty()) return absl::StrCat(Condition(from), ": nobody, ", from.status());
  return absl::StrCat(Condition(from), ": ", absl::StrJoin(from.experts(), ", "),
                      absl::StrFormat(" (quality %+.4g, %.4g J, %.4g ms)", from.quality_gained(),
                                      from.energy_j(), from.latency_ms()));
}

}  // namespace penstock::cli
