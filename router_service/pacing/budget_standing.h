#pragma once

#include <string>

#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// What became of one budget until now.
struct BudgetStanding {
  std::string pool;    // empty: across pools
  std::string tenant;  // empty: everybody's
  config::v1::Budget::Resource resource = config::v1::Budget::JOULES;
  config::v1::Budget::Per per = config::v1::Budget::SECOND;
  double limit = 0;      // in the resource's own unit
  double remaining = 0;  // as BudgetStatus has it
  double price = 0;      // likewise
};

}  // namespace penstock::router
