#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "router_service/recording/chain/log_head.h"

namespace penstock::router {

// Heads of one log that are kept where its router's disk cannot reach, in one value of a store: the
// first and the last of each run of the router, in order. A log that was cut while its router was
// down goes on from before a head that was told, and never has that record again.
inline constexpr size_t kMostKeptHeads = 64;

// The value's name.
std::string KeptHeadsKey(absl::string_view log);

// One FormatLogHead after the other.
std::string FormatKeptHeads(const std::vector<LogHead>& heads);
// Lines that are no heads of `log`, or too many, are left out and counted in `others`.
std::vector<LogHead> ParseKeptHeads(absl::string_view log, absl::string_view text, size_t& others);

// What is kept once a run begins with `first`: there is room for two of its own. Of too many those
// go first, the oldest first, between which the log only went on; the others show a cut.
std::vector<LogHead> HeadsBefore(std::vector<LogHead> kept, const LogHead& first);
// The furthest of these, where a run that begins with `first` does not go on from it; else null.
const LogHead* NotContinued(const std::vector<LogHead>& kept, const LogHead& first);

}  // namespace penstock::router
