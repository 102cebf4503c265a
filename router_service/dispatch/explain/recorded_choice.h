#pragma once

#include <cstdint>

#include "penstock/v1/replay.pb.h"
#include "router_service/dispatch/choice/expert_choice.h"

namespace penstock::router {

// Adds to the record what the selector saw of a request and said; `view`: the pacer's event that
// told price and headroom. A record has one `first`: where a later choice has another, because the
// headroom that a bypass wanted went meanwhile, the record is of that choice alone. It is the one
// that runs.
void RecordChoice(const ExpertChoice& choice, uint64_t view, v1::ChoiceRecord& record);

}  // namespace penstock::router
