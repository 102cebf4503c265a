#pragma once

#include "absl/strings/string_view.h"

namespace penstock::router {

// How a budget's price follows what is spent.
enum class PriceRule {
  kCredit,         // level by solving over past decisions, feedback by cumulative credit
  kMirrorDescent,  // plain dual mirror descent, entropic: the reference
};

// As a journal has it.
constexpr absl::string_view PriceRuleName(PriceRule rule) {
  return rule == PriceRule::kCredit ? "credit" : "mirror_descent";
}

struct PacingOptions {
  bool learning = true;  // false: prices stay at the start price; only hard budgets intervene
  double start_price_per_joule = 0;
  // The start price is the right one for ordinary traffic: of a budget in joules per second it
  // stays the level, and bursts are met by credit alone, which keeps more quality than a level that
  // follows every change of the rate. Only kCredit, and only with a start price.
  bool trust_start_price = false;
  PriceRule rule = PriceRule::kCredit;
};

}  // namespace penstock::router
